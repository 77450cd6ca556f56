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
    y, x, channel = np.mgrid[:480, :640, :3]
    across = np.sin(x / 23 + channel)
    down = np.cos(y / 31 - channel)
    levels = 127 + 100 * across * down
    return levels.astype(np.uint8)


def rectangle_of(figures, case: int) -> tuple[FaceRectangle, int]:
    """Return the square of a golden crop, and the crop's side in pixels."""
    points = figures[f"crop{case}/points"]
    size, scale, vy, upright = figures[f"crop{case}/args"]
    hull = landmark_hull(points)
    rectangle = frame_face(hull, scale, vy=vy, upright=bool(upright))
    return rectangle, int(size)


def relative_error(ours: np.ndarray, golden: np.ndarray) -> float:
    """Return the largest error, in parts of the largest value."""
    error = np.abs(ours - golden).max()
    scale = np.abs(golden).max()
    return float(error / scale)


def apply(matrix: np.ndarray, points) -> np.ndarray:
    """Return points (x, y) after a matrix that acts on (x, y, 1)."""
    linear = matrix[:2, :2]
    shift = matrix[:2, 2]
    return np.asarray(points) @ linear.T + shift


@pytest.mark.parametrize("case", CASES)
def test_matrices_are_the_published_ones(figures, case):
    rectangle, size = rectangle_of(figures, case)
    matrix = image_to_crop(rectangle, size)
    inverse = np.linalg.inv(matrix)
    golden = figures[f"crop{case}/image_to_crop"]
    golden_inverse = figures[f"crop{case}/crop_to_image"]
    assert relative_error(matrix, golden) < 1e-5
    assert relative_error(inverse, golden_inverse) < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_crops_are_the_published_ones(figures, case):
    rectangle, size = rectangle_of(figures, case)
    crop = crop_face(formula_picture(), rectangle, size, "black")
    golden = figures[f"crop{case}/image"].astype(int)
    difference = crop.image[::8, ::8] - golden
    assert np.abs(difference).max() <= 1
    matrix = figures[f"crop{case}/crop_to_image"]
    assert relative_error(crop.crop_to_image, matrix) < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_clip_boxes_are_the_published_ones(figures, case):
    hull = landmark_hull(figures[f"crop{case}/points"])
    box = clip_rectangle([hull])
    corners = figures[f"crop{case}/bbox"]
    center = corners.mean(axis=0)
    # opposite corners of the square
    low = corners[0]
    high = corners[2]
    side = high[0] - low[0]
    assert box.angle == 0
    ours = np.array([*box.center, box.size])
    expected = np.array([*center, side])
    assert relative_error(ours, expected) < 1e-5


def test_clip_box_is_the_mean_of_its_frames():
    first = FaceRectangle((100, 100), 50, 0.3)
    second = FaceRectangle((120, 80), 70, -0.2)
    first_box = clip_rectangle([first])
    second_box = clip_rectangle([second])
    mean = clip_rectangle([first, second])
    centers = np.array(
        [
            first_box.center,
            second_box.center,
        ]
    )
    center = centers.mean(axis=0)
    np.testing.assert_allclose(mean.center, center)
    # the mean of the hulls' sides, 2.2 times as large
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
    # an upright face
    points[left] = (10, 20)
    points[right] = (30, 20)
    points[mouth] = (20, 50)
    # the mean of the points around each eye
    centers = eye_centers(points)
    np.testing.assert_allclose(centers, [(10, 20), (30, 20)])
    upright = landmark_hull(points)
    assert upright.angle == pytest.approx(0)

    # a face that lies on its side
    points[left] = (20, 30)
    points[right] = (20, 10)
    points[mouth] = (50, 20)
    lying = landmark_hull(points)
    assert lying.angle == pytest.approx(-np.pi / 2)


@pytest.mark.parametrize("count", sorted(EYES_AND_MOUTH))
def test_hull_moves_with_the_face(count):
    rng = np.random.default_rng(count)
    points = 30 * rng.normal(size=(count, 2))
    # a turn in radians, an enlargement, and a shift in pixels
    turn = 0.7
    zoom = 1.9
    shift = np.array([200, 90])
    cos = np.cos(turn)
    sin = np.sin(turn)
    matrix = zoom * np.array(
        [
            [cos, -sin],
            [sin, cos],
        ]
    )
    before = landmark_hull(points)
    after = landmark_hull(points @ matrix.T + shift)
    center = matrix @ before.center + shift
    np.testing.assert_allclose(after.center, center)
    assert after.size == pytest.approx(zoom * before.size)
    # angles are equal but for whole turns
    difference = after.angle - before.angle - turn
    assert np.cos(difference) == pytest.approx(1)


def test_hull_of_a_face_without_direction_is_upright():
    points = np.tile([[3.0, 4.0]], (5, 1))
    hull = landmark_hull(points)
    assert hull == FaceRectangle((3, 4), 0, 0)


def test_unknown_number_of_landmarks():
    with pytest.raises(ValueError, match="got 7"):
        landmark_hull(np.zeros((7, 2)))


def test_shifts_follow_the_face():
    # the face's x axis points down, its y axis to the left
    hull = FaceRectangle((100, 100), 10, np.pi / 2)
    across = frame_face(hull, 2, vx=0.5, vy=0)
    down = frame_face(hull, 2, vx=0, vy=0.25)
    np.testing.assert_allclose(across.center, (100, 110), atol=1e-9)
    np.testing.assert_allclose(down.center, (95, 100), atol=1e-9)
    assert frame_face(hull, upright=False).angle == 0


@pytest.mark.parametrize("case", CASES)
def test_crops_within_the_picture_are_the_published_ones(figures, case):
    """The networks' input, which repeats the edge where the published one is black."""
    rectangle, size = rectangle_of(figures, case)
    crop = crop_face(formula_picture(), rectangle, size)
    step = np.arange(0, size, 8)
    # Every eighth pixel of the crop, and its place in the picture.
    pixels = np.stack(np.meshgrid(step, step), axis=-1)
    places = apply(crop.crop_to_image, pixels)
    after_first = places >= 0
    before_last = places <= (639, 479)
    inside = (after_first & before_last).all(axis=-1)
    assert inside.mean() > 0.2
    golden = figures[f"crop{case}/image"].astype(int)
    ours = crop.image[::8, ::8]
    error = np.abs(ours - golden)
    assert error[inside].max() <= 1


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_outside_repeats_the_edge(angle):
    image = formula_picture()
    # The corner of the picture is in the middle of the crop.
    rectangle = FaceRectangle((0, 0), 400, angle)
    crop = crop_face(image, rectangle, 200)
    # The same crop, within a picture that is larger.
    margin = (400, 0)
    padded = np.pad(image, (margin, margin, (0, 0)), mode="edge")
    moved = FaceRectangle((400, 400), 400, angle)
    expected = crop_face(padded, moved, 200)
    np.testing.assert_array_equal(crop.image, expected.image)


def test_outside_can_be_black():
    image = np.full((10, 10, 3), 200, np.uint8)
    crop = crop_face(image, FaceRectangle((10, 10), 20), 20, "black")
    # the picture covers a quarter of the crop
    quarter = crop.image[:10, :10]
    assert (quarter == 200).all()
    below = crop.image[10:]
    assert not below.any()
    beside = crop.image[:, 10:]
    assert not beside.any()
    # A quarter of the pixels, and three colours each.
    assert np.count_nonzero(crop.image) == 300


def test_network_input_is_the_mean_of_its_pixels():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)
    # blocks of 2 x 2 pixels
    blocks = image.reshape(256, 2, 256, 2, 3)
    means = blocks.mean(axis=(1, 3))
    picture = network_input(FaceCrop(image, np.eye(3)))
    difference = picture - means
    assert np.abs(difference).max() <= 0.5


def test_resizing_keeps_corners_and_centres():
    matrix = resize_matrix((300, 400, 3), (600, 100, 3))
    corners = [(-0.5, -0.5), (399.5, 299.5)]
    expected = [(-0.5, -0.5), (99.5, 599.5)]
    np.testing.assert_allclose(apply(matrix, corners), expected)


def test_resizing_is_where_opencv_puts_things():
    """A bump keeps its place: the middle of it, found in the resized picture, is where
    the matrix says."""
    # a bump around (90.3, 61.8)
    y, x = np.mgrid[:200, :240]
    distance = np.hypot(x - 90.3, y - 61.8)
    bump = np.exp(-(distance**2) / 200)
    small = cv2.resize(bump, (80, 50), interpolation=cv2.INTER_AREA)
    # its middle is the mean position, weighted by its height
    y, x = np.mgrid[:50, :80]
    weights = small / small.sum()
    middle = ((weights * x).sum(), (weights * y).sum())
    matrix = resize_matrix(bump.shape, small.shape)
    expected = apply(matrix, (90.3, 61.8))
    np.testing.assert_allclose(middle, expected, atol=0.01)


def test_crop_of_a_reduced_picture_lies_right_in_the_full_one():
    """Sampling the full picture by the enlarged matrix shows what the crop shows; by
    other matrices it does not."""
    picture = formula_picture()
    full = cv2.resize(picture, (1920, 1440), interpolation=cv2.INTER_CUBIC)
    reduced = cv2.resize(full, (640, 480), interpolation=cv2.INTER_AREA)
    rectangle = FaceRectangle((300, 220), 200, 0.3)
    crop = crop_face(reduced, rectangle, 256)

    def mismatch(crop_to_image):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = crop_to_image[:2]
        sampled = cv2.warpAffine(full, matrix, (256, 256), flags=flags)
        difference = sampled.astype(int) - crop.image
        return np.abs(difference).mean()

    enlarged = to_full_resolution(crop, reduced.shape, full.shape).crop_to_image
    # the matrix that takes whole numbers for corners of pixels
    without_half_pixels = np.diag([3, 3, 1]) @ crop.crop_to_image
    error = mismatch(enlarged)
    assert error < 0.5
    # the comparison would notice half a pixel
    assert mismatch(without_half_pixels) > 2 * error
