"""Crop geometry against the published code's, and pixels against the formula picture it
was run on."""

import cv2
import numpy as np
import pytest

from jaxportrait.media.crop import (
    EYES_AND_MOUTH,
    FaceRectangle,
    clip_rectangle,
    crop_face,
    eye_centers,
    frame_face,
    image_to_crop,
    landmark_hull,
    network_input,
    resize_matrix,
    to_full_resolution,
)
from jaxportrait.types import FaceCrop

CASES = range(5)


@pytest.fixture(scope="module")
def figures(golden):
    with np.load(golden / "geometry.npz") as file:
        return dict(file)


def formula_picture() -> np.ndarray:
    """The 640x480 picture that the golden crops were cut from."""
    y, x = np.mgrid[:480, :640]
    return np.stack(
        [127 + 100 * np.sin(x / 23 + c) * np.cos(y / 31 - c) for c in range(3)], -1
    ).astype(np.uint8)


def rectangle_of(figures, case: int) -> tuple[FaceRectangle, int]:
    size, scale, vy, upright = figures[f"crop{case}/args"]
    return frame_face(
        landmark_hull(figures[f"crop{case}/points"]),
        scale,
        vy=vy,
        upright=bool(upright),
    ), int(size)


def relative_error(ours: np.ndarray, golden: np.ndarray) -> float:
    return float(np.abs(ours - golden).max() / np.abs(golden).max())


def apply(matrix: np.ndarray, points) -> np.ndarray:
    return np.asarray(points) @ matrix[:2, :2].T + matrix[:2, 2]


@pytest.mark.parametrize("case", CASES)
def test_matrices_are_the_published_ones(figures, case):
    rectangle, size = rectangle_of(figures, case)
    matrix = image_to_crop(rectangle, size)
    assert relative_error(matrix, figures[f"crop{case}/image_to_crop"]) < 1e-5
    assert (
        relative_error(np.linalg.inv(matrix), figures[f"crop{case}/crop_to_image"])
        < 1e-5
    )


@pytest.mark.parametrize("case", CASES)
def test_crops_are_the_published_ones(figures, case):
    crop = crop_face(formula_picture(), *rectangle_of(figures, case))
    golden = figures[f"crop{case}/image"].astype(int)
    assert np.abs(crop.image[::8, ::8] - golden).max() <= 1
    assert (
        relative_error(crop.crop_to_image, figures[f"crop{case}/crop_to_image"]) < 1e-5
    )


@pytest.mark.parametrize("case", CASES)
def test_clip_boxes_are_the_published_ones(figures, case):
    box = clip_rectangle([landmark_hull(figures[f"crop{case}/points"])])
    corners = figures[f"crop{case}/bbox"]
    expected = np.array([*corners.mean(axis=0), corners[2, 0] - corners[0, 0]])
    assert box.angle == 0
    assert relative_error(np.array([*box.center, box.size]), expected) < 1e-5


def test_clip_box_is_the_mean_of_its_frames():
    still, moved = (
        FaceRectangle((100, 100), 50, 0.3),
        FaceRectangle((120, 80), 70, -0.2),
    )
    boxes = [clip_rectangle([hull]) for hull in (still, moved)]
    mean = clip_rectangle([still, moved])
    np.testing.assert_allclose(
        mean.center, np.mean([box.center for box in boxes], axis=0)
    )
    assert mean.size == pytest.approx(60 * 2.2)


def test_clip_without_a_face():
    with pytest.raises(ValueError, match="at least one frame"):
        clip_rectangle([])


# Facts of the published code for the counts that no golden figure covers.
EYES_OF = {
    101: ([39, 42, 45, 48], [51, 54, 57, 60], [75, 81]),
    9: ([0, 1], [2, 3], [5, 6]),
}


@pytest.mark.parametrize("count", sorted(EYES_OF))
def test_eyes_and_mouth_of_other_counts(count):
    left, right, mouth = EYES_OF[count]
    points = np.zeros((count, 2))
    points[left], points[right], points[mouth] = (10, 20), (30, 20), (20, 50)
    np.testing.assert_allclose(eye_centers(points), [(10, 20), (30, 20)])
    assert landmark_hull(points).angle == pytest.approx(0)
    points[mouth] = (50, 20)  # the face lies on its side
    points[left], points[right] = (20, 30), (20, 10)
    assert landmark_hull(points).angle == pytest.approx(-np.pi / 2)


@pytest.mark.parametrize("count", sorted(EYES_AND_MOUTH))
def test_hull_moves_with_the_face(count):
    points = np.random.default_rng(count).normal(size=(count, 2)) * 30
    turn, zoom, shift = 0.7, 1.9, np.array([200, 90])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    before, after = (
        landmark_hull(points),
        landmark_hull(zoom * points @ rotation.T + shift),
    )
    np.testing.assert_allclose(after.center, zoom * rotation @ before.center + shift)
    assert after.size == pytest.approx(zoom * before.size)
    assert np.exp(1j * (after.angle - before.angle)) == pytest.approx(np.exp(1j * turn))


def test_hull_of_a_face_without_direction_is_upright():
    assert landmark_hull(np.tile([[3.0, 4.0]], (5, 1))) == FaceRectangle((3, 4), 0, 0)


def test_unknown_number_of_landmarks():
    with pytest.raises(ValueError, match="got 7"):
        landmark_hull(np.zeros((7, 2)))


def test_shifts_follow_the_face():
    hull = FaceRectangle(
        (100, 100), 10, np.pi / 2
    )  # the face's x axis points down, its y axis to the left
    np.testing.assert_allclose(
        frame_face(hull, 2, vx=0.5, vy=0).center, (100, 110), atol=1e-9
    )
    np.testing.assert_allclose(
        frame_face(hull, 2, vx=0, vy=0.25).center, (95, 100), atol=1e-9
    )
    assert frame_face(hull, upright=False).angle == 0


def test_outside_is_black():
    crop = crop_face(
        np.full((10, 10, 3), 200, np.uint8), FaceRectangle((10, 10), 20), 20
    )
    assert (crop.image[:10, :10] == 200).all()
    assert (crop.image[10:] == 0).all()
    assert (crop.image[:, 10:] == 0).all()


def test_network_input_is_the_mean_of_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    means = image.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(network_input(FaceCrop(image, np.eye(3))) - means).max() <= 0.5


def test_resizing_keeps_corners_and_centres():
    matrix = resize_matrix((300, 400, 3), (600, 100, 3))
    np.testing.assert_allclose(
        apply(matrix, [(-0.5, -0.5), (399.5, 299.5)]), [(-0.5, -0.5), (99.5, 599.5)]
    )


def test_resizing_is_where_opencv_puts_things():
    """A bump keeps its place: the middle of it, found in the resized picture, is where
    the matrix says."""
    y, x = np.mgrid[:200, :240]
    bump = np.exp(-((x - 90.3) ** 2 + (y - 61.8) ** 2) / 200).astype(np.float32)
    small = cv2.resize(bump, (80, 50), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:50, :80]
    middle = [(small * x).sum() / small.sum(), (small * y).sum() / small.sum()]
    np.testing.assert_allclose(
        middle, apply(resize_matrix(bump.shape, small.shape), (90.3, 61.8)), atol=0.01
    )


def test_crop_of_a_reduced_picture_lies_right_in_the_full_one():
    """Sampling the full picture by the enlarged matrix shows what the crop shows; by
    other matrices it does not."""
    full = cv2.resize(formula_picture(), (1920, 1440), interpolation=cv2.INTER_CUBIC)
    reduced = cv2.resize(full, (640, 480), interpolation=cv2.INTER_AREA)
    crop = crop_face(reduced, FaceRectangle((300, 220), 200, 0.3), 256)

    def mismatch(crop_to_image):
        seen = cv2.warpAffine(
            full,
            crop_to_image[:2],
            (256, 256),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        return np.abs(seen.astype(int) - crop.image).mean()

    enlarged = to_full_resolution(crop, reduced.shape, full.shape).crop_to_image
    without_half_pixels = np.diag([3, 3, 1]) @ crop.crop_to_image
    assert mismatch(enlarged) < 0.5
    assert mismatch(without_half_pixels) > 2 * mismatch(enlarged)
