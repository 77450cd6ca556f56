"""Natural motion: blinks as often and as long as people's, and slight turns."""

import numpy as np
import pytest

from jaxportrait.motion.clip import MotionClip, concatenate
from jaxportrait.motion.natural import (
    BLINKS_A_MINUTE,
    SHORTEST_INTERVAL,
    TURN_DEVIATIONS,
    add_natural_motion,
    draw_blinks,
    head_turns,
    lid_closure,
)
from jaxportrait.motion.rotation import angles_of
from jaxportrait.motion.space import MOTION_SPACES
from tests.pipeline.motions import draw_face_motion, face_clip

LIP = MOTION_SPACES["lip"]


def voice(frames: int, fps: float = 30) -> MotionClip:
    values = np.random.default_rng(1).normal(0, 0.02, (frames, LIP.width))
    return MotionClip.from_values(values, LIP, fps)


@pytest.fixture
def blink() -> np.ndarray:
    offsets = np.zeros((21, 3), np.float32)
    offsets[11, 1] = 0.04
    return offsets


def test_blinks_come_as_often_as_in_conversation():
    minutes = 20
    blinks = draw_blinks(60 * minutes, np.random.default_rng(0))
    assert len(blinks) / minutes == pytest.approx(BLINKS_A_MINUTE, rel=0.1)
    intervals = np.diff([blink.start for blink in blinks])
    assert intervals.min() > SHORTEST_INTERVAL - 1e-6
    # They are no clockwork.
    assert intervals.std() > 0.3 * intervals.mean()


@pytest.mark.parametrize("fps", [25, 30])
def test_a_blink_shuts_the_lids_for_a_fraction_of_a_second(fps):
    closure = lid_closure(np.arange(60 * fps) / fps, np.random.default_rng(0))
    assert closure.min() == 0
    assert closure.max() == 1
    # About 0.2 s a blink, with the lids at least half shut for 0.15 s.
    assert (closure > 0.5).mean() * 60 / BLINKS_A_MINUTE == pytest.approx(0.15, rel=0.3)


def test_turns_are_slight_and_slow():
    times = np.arange(0, 600, 1 / 30)
    degrees = head_turns(times, np.random.default_rng(0))
    np.testing.assert_allclose(degrees.std(axis=0), TURN_DEVIATIONS, rtol=0.1)
    # Degrees a second; a glance aside has 100.
    speed = np.abs(np.diff(degrees, axis=0)).max() * 30
    assert speed < 15


def test_lips_stay_the_voice_s(blink):
    natural = add_natural_motion(voice(300), blink, seed=3)
    others = np.flatnonzero(blink.any(axis=1))
    lips = np.setdiff1d(np.arange(21), others)
    np.testing.assert_array_equal(
        natural.expression[:, lips], voice(300).expression[:, lips]
    )
    assert natural.expression[:, 11, 1].max() == pytest.approx(0.04, rel=1e-3)
    assert np.abs(angles_of(natural.rotation)).max() < 10
    assert natural.translation is None


def test_a_seed_decides_the_motion_at_any_rate_and_length(blink):
    long = add_natural_motion(voice(300), blink, seed=3)
    short = add_natural_motion(voice(100), blink, seed=3)
    # Every second frame at half the rate.
    slow = add_natural_motion(voice(150, fps=15), blink, seed=3)
    np.testing.assert_array_equal(short.rotation, long.rotation[:100])
    np.testing.assert_allclose(slow.rotation, long.rotation[::2], atol=1e-6)
    np.testing.assert_allclose(
        slow.expression[:, 11], long.expression[::2, 11], atol=1e-6
    )
    other = add_natural_motion(voice(300), blink, seed=4)
    assert np.abs(angles_of(other.rotation) - angles_of(long.rotation)).max() > 0.5


def test_parts_continue_each_other(blink):
    whole = add_natural_motion(voice(300), blink, seed=3)
    parts = [
        add_natural_motion(voice(300)[first : first + 100], blink, 3, first)
        for first in (0, 100, 200)
    ]
    for name, values in concatenate(parts).arrays().items():
        np.testing.assert_array_equal(values, whole.arrays()[name])


def test_motion_with_a_head_is_refused(blink):
    with pytest.raises(ValueError, match="this motion moves the head already"):
        add_natural_motion(face_clip(draw_face_motion(3)), blink, seed=0)
