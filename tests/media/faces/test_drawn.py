"""The cascade on drawn faces, and the choice among faces."""

import cv2
import cv2.data
import numpy as np
import pytest

from jaxportrait.media.crop import FaceRectangle, crop_face, frame_face
from jaxportrait.media.faces import (
    DetectorUnavailableError,
    Face,
    NoFaceError,
    choose_face,
    detect_faces,
    open_detector,
)
from tests.media.faces.drawing import (
    BROWS,
    CHIN,
    canvas,
    draw_face,
    largest_difference,
    rotation,
)
from tests.media.faces.files import needs_cascades
from tests.media.graphs import (
    save_yunet,
)


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
def test_opencv_without_its_cascades(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(
        DetectorUnavailableError, match=r"install opencv-python-headless>=4\.10,<5"
    ):
        open_detector("haar")
