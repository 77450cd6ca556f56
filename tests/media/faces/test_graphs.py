"""The detectors of ONNX files, on generated graphs."""

import numpy as np
import pytest

from jaxportrait.media.crop import frame_face, landmark_hull
from jaxportrait.media.faces import (
    DetectorUnavailableError,
    NoFaceError,
    detect_faces,
    open_detector,
)
from tests.media.faces.drawing import (
    canvas,
    rotation,
    spot,
)
from tests.media.faces.files import FINE_OUTLINE, FOLLOW, needs_cascades, outline
from tests.media.graphs import (
    SCRFD_DISTANCES,
    save_landmarks,
    save_scrfd,
    save_yunet,
)


# 640x320 is letterboxed to 512x256, 20 pixels to a cell of stride 16; 320x640 to
# 256x512 likewise.
@pytest.mark.parametrize(
    ("height", "width", "column", "row"), [(320, 640, 20, 6), (640, 320, 5, 18)]
)
def test_insightface_end_to_end(models, height, width, column, row):
    image = spot(height, width, column, row, 20)
    (face,) = detect_faces(image, open_detector("insightface", models))
    # distances of the sides, in cells
    left, top, right, bottom = SCRFD_DISTANCES
    sides = (column - left, row - top, column + right, row + bottom)
    box = 20 * np.array(sides)
    np.testing.assert_allclose(face.box, box, atol=1e-3)
    assert face.score == pytest.approx(1, abs=0.1)

    assert face.landmarks is not None
    assert face.eyes is not None
    assert face.fine_landmarks is not None
    cell = np.array([column, row])
    middle = 20 * (cell + 0.5) - 0.5
    side = 1.5 * (box[2:] - box[:2]).max()
    landmarks = middle + outline(0.3) * side / 2
    # A spot's middle is only as fine as the crop's samples, 1.25 pixels apart.
    np.testing.assert_allclose(face.landmarks, landmarks, atol=0.2)
    assert face.hull.angle == pytest.approx(0.3, abs=1e-3)
    np.testing.assert_allclose(face.eyes, landmarks[[33, 87]], atol=0.2)

    framed = frame_face(landmark_hull(landmarks), 1.5, vy=-0.1)
    turn = framed.size * rotation(0.3).T
    corner = framed.center - np.array([0.5, 0.5]) @ turn
    start = np.where(FOLLOW[:, None], middle, corner)
    fine = start + FINE_OUTLINE @ turn
    np.testing.assert_allclose(face.fine_landmarks, fine, atol=0.3)


def test_insightface_suppresses_overlaps_but_no_other_faces(models):
    """Two anchors find each spot, and one face of each remains."""
    image = spot(320, 640, 4, 4, 20) | spot(320, 640, 24, 8, 20)
    faces = detect_faces(image, open_detector("insightface", models))
    cells = [round(face.box[0] / 20) for face in faces]
    assert sorted(cells) == [2, 22]


def test_insightface_reads_red_green_blue(models):
    blue = spot(320, 640, 20, 6, 20, colour=(0, 0, 255))
    detector = open_detector("insightface", models)
    with pytest.raises(NoFaceError, match="by insightface"):
        detect_faces(blue, detector)


def test_insightface_without_fine_landmarks(models):
    (models / "liveportrait/landmark.onnx").unlink()
    detector = open_detector("insightface", models)
    (face,) = detect_faces(spot(320, 640, 20, 6, 20), detector)
    assert face.fine_landmarks is None


@pytest.mark.parametrize(("height", "width"), [(640, 640), (480, 640), (300, 500)])
def test_yunet_end_to_end(tmp_path, height, width):
    # in cells of 16 pixels, from the spot's cell
    points = np.array(
        [
            [-0.5, 0],
            [1.5, 0],
            [0.5, 0.7],
            [-0.2, 2],
            [1.2, 2],
        ]
    )
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", points)
    image = spot(height, width, 10, 8, 16)
    (face,) = detect_faces(image, open_detector("yunet", tmp_path))
    assert face.landmarks is not None
    assert face.eyes is not None
    np.testing.assert_allclose(face.box, (136, 96, 200, 176), atol=1e-3)
    landmarks = 16 * (points + np.array([10, 8]))
    np.testing.assert_allclose(face.landmarks, landmarks, atol=1e-3)
    np.testing.assert_allclose(face.eyes, [(152, 128), (184, 128)], atol=1e-3)
    assert face.score == pytest.approx(1)
    assert face.hull.angle == pytest.approx(0)


def test_yunet_speaks_of_the_full_picture(tmp_path):
    """1280 pixels are reduced to 640: a cell of 16 is 32 of them, and the middle of a
    pixel moves by half."""
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", np.zeros((5, 2)))
    (face,) = detect_faces(spot(960, 1280, 10, 8, 32), open_detector("yunet", tmp_path))
    reduced = np.array([136, 96, 200, 176])
    np.testing.assert_allclose(face.box, 2 * reduced + 0.5, atol=1e-3)


@pytest.mark.parametrize(
    "layout", ["", "buffalo_l", "models/buffalo_l", "insightface/models/buffalo_l"]
)
def test_model_files_are_found_in_the_usual_layouts(tmp_path, layout):
    (tmp_path / layout).mkdir(parents=True, exist_ok=True)
    save_scrfd(tmp_path / layout / "det_10g.onnx")
    save_landmarks(tmp_path / layout / "2d106det.onnx", outline(0))
    assert open_detector("insightface", tmp_path).name == "insightface"


@pytest.mark.parametrize("name", ["insightface", "yunet"])
def test_detector_without_its_files(tmp_path, name):
    with pytest.raises(
        DetectorUnavailableError,
        match=rf"{name} needs .* no folder of models was given: name",
    ):
        open_detector(name)
    with pytest.raises(
        DetectorUnavailableError, match=rf"{name} needs .* holds none: name"
    ):
        open_detector(name, tmp_path)


@needs_cascades
@pytest.mark.parametrize(
    ("name", "file"),
    [("insightface", "det_10g.onnx"), ("yunet", "face_detection_yunet_2023mar.onnx")],
)
def test_unreadable_model_files(tmp_path, name, file):
    (tmp_path / "2d106det.onnx").write_bytes(b"not a network")
    (tmp_path / file).write_bytes(b"not a network")
    with pytest.raises(
        DetectorUnavailableError,
        match=rf"{name} needs .*{file}, which .* cannot (read|use): download",
    ):
        open_detector(name, tmp_path)
    assert open_detector("auto", tmp_path).name == "haar"


def test_file_of_another_network(tmp_path):
    save_scrfd(tmp_path / "face_detection_yunet_2022mar.onnx")
    with pytest.raises(
        DetectorUnavailableError,
        match=r"yunet needs .*2022mar\.onnx, which OpenCV cannot use",
    ):
        open_detector("yunet", tmp_path)


def test_narrow_pictures_are_searched_too(models):
    with pytest.raises(NoFaceError):
        detect_faces(canvas(1280, 2), open_detector("insightface", models))


def test_missing_folder_of_models(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no folder .*absent of detector models"
    ):
        open_detector("auto", tmp_path / "absent")
