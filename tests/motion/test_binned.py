"""The layout of Ditto's motion: angles of logits, whole frames, smoothing of the pose."""

import numpy as np

from jaxportrait.motion.binned import (
    BINNED_ANGLES,
    BINNED_EXPRESSION,
    BINNED_WIDTH,
    degrees_of,
    smooth_frames,
    smooth_pose,
    unbin_motion,
)
from jaxportrait.motion.space import EXPRESSION, POSE, SCALE, TRANSLATION
from tests.arrays import draw
from tests.closeness import assert_close


def test_an_angle_is_the_mean_of_its_bins():
    # So low that these bins have no share at all.
    logits = np.full((3, 66), -1000.0)
    logits[0, 0] = 0
    logits[1, 65] = 0
    # Two bins in equal shares.
    logits[2, [32, 33]] = 0
    assert_close(degrees_of(logits), [-97.5, 97.5, 0], 1e-6)


def test_frames_are_those_of_the_projects_layout():
    values = draw(4, BINNED_WIDTH, seed=1)
    frames = unbin_motion(values)
    np.testing.assert_array_equal(frames[:, EXPRESSION], values[:, BINNED_EXPRESSION])
    np.testing.assert_array_equal(frames[:, TRANSLATION], values[:, 199:202])
    assert_close(frames[:, SCALE], values[:, :1] + 1, 1e-7)
    pitch = degrees_of(values[:, BINNED_ANGLES[0]])
    np.testing.assert_array_equal(frames[:, POSE][:, 0], pitch)


def test_smoothing_is_the_mean_of_the_neighbours_that_exist():
    values = np.array([[0.0], [3.0], [6.0], [0.0]])
    smoothed = smooth_frames(values, 3)
    # Means of two at the ends, of three between them.
    assert_close(smoothed, [[1.5], [3.0], [3.0], [3.0]], 1e-6)
    np.testing.assert_array_equal(smooth_frames(values, 1), values)


def test_the_expression_is_not_smoothed():
    values = draw(5, BINNED_WIDTH, seed=2)
    smoothed = smooth_pose(values)
    expression = BINNED_EXPRESSION
    np.testing.assert_array_equal(smoothed[:, expression], values[:, expression])
    pose = slice(0, expression.start)
    np.testing.assert_array_equal(smoothed[:, pose], smooth_frames(values[:, pose], 3))
