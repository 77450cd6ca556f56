"""Openness of eyes and lips, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Face
from jaxportrait.media.faces.openness import Openness, fill_openness, openness_of

# Middle above, middle below and both corners: left eye, right eye, lips.
FINE = ((6, 18, 0, 12), (30, 42, 24, 36), (90, 102, 48, 66))
MESH = ((159, 145, 33, 133), (386, 374, 362, 263), (13, 14, 78, 308))
HEIGHTS = (2.0, 3.0, 8.0)
WIDTHS = (10.0, 12.0, 20.0)


def face_of(count: int, parts) -> np.ndarray:
    """Return landmarks whose eyes and lips are as high and wide as named above."""
    points = np.random.default_rng(0).uniform(0, 100, (count, 2))
    for indices, height, width in zip(parts, HEIGHTS, WIDTHS, strict=True):
        above, below, first, last = indices
        points[below] = points[above] + (0, height)
        points[last] = points[first] + (width, 0)
    return points


def turn(points: np.ndarray, angle: float) -> np.ndarray:
    cos = np.cos(angle)
    sin = np.sin(angle)
    matrix = np.array(
        [
            [cos, sin],
            [-sin, cos],
        ]
    )
    return points @ matrix


@pytest.mark.parametrize(("count", "parts"), [(203, FINE), (468, MESH)])
def test_openness_is_height_over_width_at_any_size_and_turn(count, parts):
    points = face_of(count, parts)
    for scale, angle in ((1, 0), (7, 0.8)):
        openness = openness_of(turn(scale * points, angle))
        assert openness is not None
        assert openness.eyes == pytest.approx((0.2, 0.25), rel=1e-5)
        assert openness.lips == pytest.approx(0.4, rel=1e-5)


def test_other_landmarks_do_not_tell_it():
    # As many as InsightFace's networks mark.
    assert openness_of(np.zeros((106, 2))) is None


def test_eyes_without_width_are_shut_and_not_infinite():
    openness = openness_of(np.zeros((468, 2)))
    assert openness is not None
    assert openness.eyes == (0, 0)


def test_a_face_reads_its_finest_landmarks():
    square = FaceRectangle((0, 0), 10)
    unmarked = Face((0, 0, 1, 1), 1.0, square)
    assert unmarked.openness is None
    coarse = replace(unmarked, landmarks=np.zeros((106, 2)))
    assert coarse.openness is None
    points = face_of(203, FINE)
    fine = replace(coarse, fine_landmarks=points)
    assert fine.openness == openness_of(points)


def test_openness_is_interpolated_over_frames_that_do_not_tell_it():
    first = Openness((0.2, 0.3), 0.0)
    last = Openness((0.4, 0.5), 0.2)
    filled = fill_openness([None, first, None, last])
    expected = [[0.2, 0.3, 0.0], [0.2, 0.3, 0.0], [0.3, 0.4, 0.1], [0.4, 0.5, 0.2]]
    np.testing.assert_allclose(filled, expected, rtol=1e-6)
    assert fill_openness([None, first, None]) is None
    assert fill_openness([]) is None
