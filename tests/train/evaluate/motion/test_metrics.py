"""Metrics of motion on figures known by hand."""

from dataclasses import replace

import numpy as np
import pytest

from jaxportrait.drivers.windows import plan_windows
from jaxportrait.motion.space import MOTION_WIDTH, POSE
from tests.train.evaluate.motion.clips import (
    DIRECTION,
    FACE,
    LIP,
    TINY,
    make_clips,
)
from train.data.lips import learn_lip_axis
from train.evaluate.motion import metrics


def test_the_keypoint_error_is_a_mean_distance():
    truth = np.zeros((5, MOTION_WIDTH))
    # every keypoint moves by (3, 4, 0), whose length is 5
    moved = truth + np.tile([3.0, 4.0, 0.0], 24)[:MOTION_WIDTH]
    assert metrics.keypoint_error(moved, truth, FACE) == pytest.approx(5)

    # the first 18 values stand for those of the lips
    error = metrics.keypoint_error(moved[:, :18], truth[:, :18], LIP)
    assert error == pytest.approx(5)


def test_the_pose_error_is_in_degrees_and_of_the_face_only():
    truth = np.zeros((5, MOTION_WIDTH))
    moved = truth + 9.0
    # the length of (2, 3, 6) is 7; other values do not count
    moved[:, POSE] = (2.0, 3.0, 6.0)

    assert metrics.pose_error(moved, truth, FACE) == pytest.approx(7)

    assert FACE.has_pose
    assert not LIP.has_pose


def test_the_movement_of_a_parabola():
    # velocities are odd numbers, accelerations are 2
    motion = (np.arange(6.0) ** 2)[:, None]

    assert metrics.movement(motion, 1) == pytest.approx(np.mean([1, 3, 5, 7, 9]))
    assert metrics.movement(motion, 2) == pytest.approx(2)


def test_the_frechet_distance_of_shifted_and_stretched_normals():
    frames = np.random.default_rng(0).standard_normal((5000, 3))
    assert metrics.frechet_distance(frames, frames) == pytest.approx(0, abs=1e-9)

    # a shift by (3, 0, 4) has the square 25
    shifted = frames + np.array([3, 0, 4])
    assert metrics.frechet_distance(frames, shifted) == pytest.approx(25)

    # stretching by 3 moves means and deviations by twice themselves
    mean = frames.mean(axis=0)
    deviation = frames.std(axis=0, ddof=1)
    expected = np.square(2 * mean).sum() + np.square(2 * deviation).sum()
    assert metrics.frechet_distance(frames, 3 * frames) == pytest.approx(expected)


def test_the_diversity_of_two_seeds():
    # deviations (n - 1) of 0 and 2
    samples = np.stack([np.zeros((4, 2)), np.full((4, 2), 2.0)])

    assert metrics.diversity(samples) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(
    ("mode", "borders"), [("fused", (15, 30, 45, 60, 75)), ("independent", (30, 60))]
)
def test_seams_are_where_windows_start_and_end(mode, borders):
    plan, count = plan_windows(80, TINY, mode)
    seams = metrics.at_seams(plan, count, 80)

    # a seam is the frame before a border and the one after it
    expected = {frame for border in borders for frame in (border - 1, border)}
    assert set(np.flatnonzero(seams) + 1) == expected

    # motion that bends little, and jumps by 1 at every border
    frames = np.arange(80.0)[:, None]
    jumps = np.cumsum(np.isin(np.arange(80), borders))[:, None]
    # the second difference of 0.01 t^2 is 0.02
    ratio = metrics.seam_ratio([jumps + 0.01 * frames**2], [seams])
    assert ratio == pytest.approx(1 / 0.02, rel=0.02)
    assert metrics.seam_ratio([frames**2], [seams]) == pytest.approx(1)


def test_one_window_has_no_seam():
    plan, count = plan_windows(30, TINY, "fused")
    seams = metrics.at_seams(plan, count, 30)

    motion = np.random.default_rng(0).standard_normal((30, 1))
    assert metrics.seam_ratio([motion], [seams]) is None


def test_a_face_at_rest_has_no_seam():
    plan, count = plan_windows(80, TINY, "fused")
    seams = metrics.at_seams(plan, count, 80)

    assert metrics.seam_ratio([np.zeros((80, 1))], [seams]) is None


@pytest.mark.parametrize("lag", [-4, 0, 3])
def test_the_lag_of_a_signal_that_follows(lag):
    sound = np.random.default_rng(1).standard_normal(120)
    signal = np.roll(sound, lag)

    correlations = metrics.lagged_correlations(signal, sound)

    # three frames are 100 ms
    assert metrics.lag_milliseconds(correlations) == pytest.approx(lag * 100 / 3)
    assert correlations.max() == pytest.approx(1)

    # a constant signal follows nothing
    assert metrics.lagged_correlations(np.ones(50), sound[:50]).max() == 0


def test_the_lip_axis_is_that_of_the_motion_and_opens_with_sound():
    clips = make_clips()
    lips = learn_lip_axis(clips)
    # the axis is the direction of the drawn lips, up to noise
    cosine = lips.axis @ DIRECTION / np.linalg.norm(DIRECTION)
    assert cosine > 0.999

    # the opening follows the sound in every space that has lips
    for space in (LIP, FACE):
        motion = clips[0].motion[:, list(space.columns)]
        opening = lips.opening(motion, space)
        assert metrics.correlation(opening, clips[0].envelope) > 0.99

    # the sign follows the loudness
    inverse = [replace(clip, envelope=-clip.envelope) for clip in clips]
    np.testing.assert_allclose(learn_lip_axis(inverse).axis, -lips.axis, atol=1e-6)
