"""Landmarks in crops: their places, and those that a detector finds."""

import numpy as np
import pytest

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face
from train.prepare.frames.landmarks import (
    find_landmarks,
    normalise,
    stack_landmarks,
)

IMAGE = np.zeros((8, 8, 3), np.uint8)
CROP = FaceRectangle((50, 50), 44)


def face(x: float, *, fine: bool = False) -> Face:
    points = np.full((5, 2), x)
    hull = FaceRectangle((x, 50), 20)
    return Face((0, 0, 1, 1), 1.0, hull, None, points, points[:3] if fine else None)


def test_the_centres_of_corner_pixels_are_one():
    # a square of 256 pixels whose corner is at (-28, -68)
    rectangle = FaceRectangle((100, 60), 256)
    corners = np.array([[-28 + 0.25, -68 + 0.25], [227.25, 187.25]])

    # the network's picture has half the crop's resolution
    places = normalise(corners, rectangle, 256)
    np.testing.assert_allclose(places, [[-1, -1], [1, 1]], atol=1e-6)


@pytest.mark.parametrize(("fine", "count"), [(False, 5), (True, 3)])
def test_the_points_are_those_of_the_face_nearest_to_the_crops_centre(fine, count):
    # only the last two are inside the crop
    faces = [face(x, fine=fine) for x in (80, 58, 45)]

    for name in ("insightface", "mesh", "yunet"):
        points = find_landmarks(IMAGE, CROP, Detector(name, lambda _: faces))
    np.testing.assert_array_equal(points, np.full((count, 2), 45))


def test_a_face_outside_the_crop_or_without_points_has_none():
    # no face is inside
    outside = Detector("insightface", lambda _: [face(80)])
    assert find_landmarks(IMAGE, CROP, outside) is None

    # this detector marks no points
    assert find_landmarks(IMAGE, CROP, Detector("haar", lambda _: [face(45)])) is None


def test_frames_without_points_are_nan():
    points = np.ones((4, 2), np.float32)

    stacked = stack_landmarks([None, points])
    assert np.isnan(stacked[0]).all()
    np.testing.assert_array_equal(stacked[1], points)

    # no frame has any
    assert stack_landmarks([None, None]).shape == (2, 0, 2)
