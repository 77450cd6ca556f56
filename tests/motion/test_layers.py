"""Layers: lips over another head, clips to and fro, and strengths."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import (
    Strengths,
    layer_lips,
    play_to_and_fro,
    smooth_head,
    strengthen,
)
from jaxportrait.motion.rotation import angles_of, matrices_of
from jaxportrait.motion.space import (
    MOTION_SPACES,
    POSE,
    SCALE,
    KeypointGroups,
    neutral_frames,
)

GROUPS = KeypointGroups()
FACE = MOTION_SPACES["face"]
LIP = MOTION_SPACES["lip"]


def draw_head(count: int, fps: float = 30) -> MotionClip:
    # Clips of different lengths differ.
    random = np.random.default_rng(count)
    values = random.normal(0, 0.02, (count, FACE.width))
    values[:, POSE] = random.uniform(-20, 20, (count, 3))
    values[:, SCALE] = random.uniform(1, 1.5, (count, 1))
    return MotionClip.from_values(values, FACE, fps)


def between(array: np.ndarray) -> np.ndarray:
    """Return the change from the first frame to the second."""
    first, second = array
    return second - first


def draw_voice(count: int) -> MotionClip:
    values = np.random.default_rng(9).normal(0, 0.02, (count, LIP.width))
    return MotionClip.from_values(values, LIP, 30)


def test_a_short_clip_goes_to_and_fro():
    clip = draw_head(4)
    longer = play_to_and_fro(clip, 30, 9)
    # The first and the last frame are not repeated.
    order = [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert_allclose(longer.expression, clip.expression[order], atol=1e-6)
    # At twice the rate, every second frame is one of the clip's.
    faster = play_to_and_fro(clip, 60, 7)
    assert_allclose(faster.scale[::2], clip.scale, atol=1e-6)


def test_the_rest_of_a_voice_is_that_of_its_lips():
    lips = list(GROUPS.lips)
    others = np.setdiff1d(np.arange(21), lips)
    head = draw_head(6)
    voice = replace(draw_voice(5), rest=draw_voice(7)[6:])
    rest = layer_lips(voice, head, GROUPS).rest
    assert_array_equal(rest.expression[:, lips], voice.rest.expression[:, lips])
    assert_array_equal(rest.expression[:, others], head.expression[:1, others])
    assert layer_lips(draw_voice(5), head, GROUPS).rest is None


def test_a_single_frame_is_held():
    still = play_to_and_fro(draw_head(1), 25, 5)
    assert len(still) == 5
    assert_array_equal(still.expression[4], still.expression[0])


def test_lips_are_the_voices_and_the_rest_is_the_heads():
    voice = draw_voice(6)
    head = draw_head(20, fps=30)
    clip = layer_lips(voice, head, GROUPS)
    assert (len(clip), clip.fps) == (6, 30)
    # The head's clip is longer, and is cut.
    start = head[:6]
    lips = list(GROUPS.lips)
    assert_array_equal(clip.expression[:, lips], voice.expression[:, lips])
    keypoints = np.arange(21)
    others = np.setdiff1d(keypoints, lips)
    expected = start.expression[:, others]
    assert_allclose(clip.expression[:, others], expected, atol=1e-6)
    assert_allclose(clip.rotation, start.rotation, atol=1e-6)
    # The inputs stay as they are.
    assert not np.shares_memory(clip.expression, voice.expression)


def test_a_head_without_expression_carries_the_lips():
    calm = replace(draw_head(6), expression=None)
    # Nothing but the head moves.
    voice = draw_voice(6)
    clip = layer_lips(voice, calm, GROUPS)
    assert_array_equal(clip.expression, voice.expression)


def test_strengths_multiply_their_parts():
    clip = draw_head(5)
    rest = clip[:1]
    strengths = Strengths(eyes=2.0, lips=0.0)
    strong = strengthen(clip, rest, strengths, GROUPS)
    whole = clip.expression - rest.expression
    change = strong.expression - rest.expression
    lips = list(GROUPS.lips)
    # Brows go with the eyes.
    upper = [*GROUPS.eyes, *GROUPS.brows]
    assert_allclose(change[:, upper], 2 * whole[:, upper], atol=1e-6)
    assert not change[:, lips].any()
    assert_allclose(change[:, 0], whole[:, 0], atol=1e-7)
    assert_allclose(strong.rotation, clip.rotation, atol=1e-6)


@pytest.mark.parametrize("strength", [0.0, 0.5, 2.0])
def test_a_head_turns_less_or_more(strength):
    angles = np.zeros((2, 3), np.float32)
    # The second frame has a yaw of 12 degrees.
    angles[1, 1] = 12
    clip = replace(draw_head(2), rotation=matrices_of(angles))
    turned = strengthen(clip, clip[:1], Strengths(head=strength), GROUPS)
    _, last = angles_of(turned.rotation)
    assert_allclose(last, [0, 12 * strength, 0], atol=1e-3)
    expected = strength * between(clip.translation)
    assert_allclose(between(turned.translation), expected, atol=1e-6)
    # Sizes are ratios.
    growth = between(np.log(turned.scale))
    expected = strength * between(np.log(clip.scale))
    assert_allclose(growth, expected, atol=1e-5)
    assert turned.scale.dtype == np.float32


def test_the_strength_of_one_changes_nothing():
    clip = draw_head(4)
    same = strengthen(clip, clip[:1], Strengths(), GROUPS)
    arrays = same.arrays()
    for name, expected in clip.arrays().items():
        assert_allclose(arrays[name], expected, atol=1e-6)


def test_a_smoothed_head_follows_a_step_by_its_time_constant():
    """At 25 frames a second and 0.4 s, a tenth of the way is left behind a frame."""
    values = neutral_frames(200)
    values[1:, POSE] = (10.0, -6.0, 3.0)
    values[1:, 0] = 0.5
    clip = MotionClip.from_values(values, MOTION_SPACES["face"], 25)
    smoothed = smooth_head(clip, 0.4)
    angles = angles_of(smoothed.rotation)
    expected = 10 * (1 - 0.9 ** np.arange(200))
    np.testing.assert_allclose(angles[:, 0], expected, atol=1e-4)
    # The expression is not delayed.
    np.testing.assert_array_equal(smoothed.expression, clip.expression)


def test_a_head_without_a_time_constant_is_left_as_it_is():
    clip = MotionClip.from_values(neutral_frames(5), MOTION_SPACES["face"], 25)
    assert smooth_head(clip, 0.0) is clip
    # Neither does less than a frame delay it.
    assert smooth_head(clip, 0.03) is clip


def test_lips_alone_have_no_head_to_smooth():
    clip = MotionClip.from_values(np.zeros((5, 18)), MOTION_SPACES["lip"], 25)
    assert smooth_head(clip, 1.0) is clip
