"""Motion at another rate while it is made."""

from dataclasses import replace

import numpy as np
import pytest

from infer.serve.rate import LiveRate
from jaxportrait.motion.clip import MotionClip, concatenate
from jaxportrait.motion.space import MOTION_SPACES


def motion(frames: int, fps: float) -> MotionClip:
    values = np.random.default_rng(0).normal(0, 0.1, (frames, 70))
    return MotionClip.from_values(values, MOTION_SPACES["face"], fps)


@pytest.mark.parametrize(("source", "target"), [(30, 25), (25, 30), (25, 25), (30, 12)])
@pytest.mark.parametrize("size", [1, 4, 9])
def test_pieces_are_resampled_as_the_whole(source, target, size):
    clip = motion(40, source)
    # The last frame may lie partly after the end.
    total = -(-40 * target // source)
    rate = LiveRate(source, target)
    pieces = []
    pushed = 0
    while pushed < 36:
        pieces.append(rate.push(clip[pushed : pushed + size]))
        pushed += size
    pieces.append(rate.finish(clip[pushed:], total))
    joined = concatenate(pieces)
    expected = clip.resample(target, total)
    assert joined.fps == target
    for name, values in expected.arrays().items():
        np.testing.assert_allclose(joined.arrays()[name], values, atol=1e-6)


def test_frames_are_not_held_back():
    rate = LiveRate(30, 25)
    # Nine frames of 30 a second reach to 0.267 s: frames at 0 to 0.24 s.
    assert len(rate.push(motion(9, 30))) == 7
    # No sound, no frame.
    assert len(rate.push(motion(0, 30))) == 0


@pytest.mark.parametrize("target", [25, 30])
def test_the_rest_of_the_first_frames_is_kept(target):
    still = motion(1, 30)
    rate = LiveRate(30, target)
    # A chunk without frames knows no rest.
    assert rate.push(motion(0, 30)).rest is None
    pushed = rate.push(replace(motion(9, 30), rest=still, neutral=still))
    assert pushed.rest is still
    assert pushed.neutral is still
