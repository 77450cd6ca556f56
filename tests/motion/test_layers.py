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
    strengthen,
)
from jaxportrait.motion.rotation import angles_of, matrices_of
from jaxportrait.motion.space import MOTION_SPACES, POSE, SCALE, KeypointGroups

GROUPS = KeypointGroups()
FACE = MOTION_SPACES["face"]
LIP = MOTION_SPACES["lip"]


def draw_head(count: int, fps: float = 30) -> MotionClip:
    random = np.random.default_rng(count)
    values = random.normal(0, 0.02, (count, FACE.width))
    values[:, POSE] = random.uniform(-20, 20, (count, 3))
    values[:, SCALE] = random.uniform(1, 1.5, (count, 1))
    return MotionClip.from_values(values, FACE, fps)


def draw_voice(count: int) -> MotionClip:
    values = np.random.default_rng(9).normal(0, 0.02, (count, LIP.width))
    return MotionClip.from_values(values, LIP, 30)


def test_a_short_clip_goes_to_and_fro():
    clip = draw_head(4)
    longer = play_to_and_fro(clip, 30, 9)
    order = [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert_allclose(longer.expression, clip.expression[order], atol=1e-6)
    # At twice the rate, every second frame is one of the clip's.
    faster = play_to_and_fro(clip, 60, 7)
    assert_allclose(faster.scale[::2], clip.scale, atol=1e-6)


def test_a_single_frame_is_held():
    still = play_to_and_fro(draw_head(1), 25, 5)
    assert len(still) == 5
    assert_array_equal(still.expression[4], still.expression[0])


def test_lips_are_the_voices_and_the_rest_is_the_heads():
    voice = draw_voice(6)
    head = draw_head(20, fps=30)
    clip = layer_lips(voice, head, GROUPS)
    assert (len(clip), clip.fps) == (6, 30)
    lips = list(GROUPS.lips)
    others = np.setdiff1d(np.arange(21), lips)
    assert_array_equal(clip.expression[:, lips], voice.expression[:, lips])
    assert_allclose(clip.expression[:, others], head.expression[:6, others], atol=1e-6)
    assert_allclose(clip.rotation, head.rotation[:6], atol=1e-6)
    # The inputs stay as they are.
    assert not np.shares_memory(clip.expression, voice.expression)


def test_a_head_without_expression_carries_the_lips():
    calm = replace(draw_head(6), expression=None)
    voice = draw_voice(6)
    clip = layer_lips(voice, calm, GROUPS)
    assert_array_equal(clip.expression, voice.expression)


def test_strengths_multiply_their_parts():
    clip = draw_head(5)
    rest = clip[:1]
    strong = strengthen(clip, rest, Strengths(eyes=2.0, lips=0.0), GROUPS)
    change = strong.expression - rest.expression
    whole = clip.expression - rest.expression
    upper = [*GROUPS.eyes, *GROUPS.brows]
    assert_allclose(change[:, upper], 2 * whole[:, upper], atol=1e-6)
    assert not change[:, list(GROUPS.lips)].any()
    assert_allclose(change[:, 0], whole[:, 0], atol=1e-7)
    assert_allclose(strong.rotation, clip.rotation, atol=1e-6)


@pytest.mark.parametrize(("head", "share"), [(0.0, 0.0), (0.5, 0.5), (2.0, 2.0)])
def test_a_head_turns_less_or_more(head, share):
    values = np.zeros((2, 3), np.float32)
    values[1, 1] = 12  # yaw
    clip = replace(draw_head(2), rotation=matrices_of(values))
    turned = strengthen(clip, clip[:1], Strengths(head=head), GROUPS)
    assert_allclose(angles_of(turned.rotation)[1], [0, 12 * share, 0], atol=1e-3)
    moved = clip.translation[1] - clip.translation[0]
    assert_allclose(
        turned.translation[1] - turned.translation[0], share * moved, atol=1e-6
    )
    ratio = clip.scale[1] / clip.scale[0]
    assert_allclose(turned.scale[1] / turned.scale[0], ratio**share, rtol=1e-5)
    assert turned.scale.dtype == np.float32


def test_the_strength_of_one_changes_nothing():
    clip = draw_head(4)
    same = strengthen(clip, clip[:1], Strengths(), GROUPS)
    for name, array in clip.arrays().items():
        assert_allclose(same.arrays()[name], array, atol=1e-6)
