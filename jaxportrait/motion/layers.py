"""Layers of motion: the lips of one clip over the head of another, the strength of each
part of a face, and a head that follows slowly."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from jaxportrait.motion import rotation
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import KEYPOINTS, KeypointGroups

SHUT_SHARE = 0.1
"""Share of a video's frames that stand for shut lips: even speech without a pause shuts
them that often."""


@dataclass(frozen=True)
class Strengths:
    """Factors of the motion since rest.

    Attributes:
      head: rotation, translation and scale of the head.
      eyes: expression of eyes and brows.
      lips: expression of the lips.
      expression: the rest of the expression.
    """

    head: float = 1.0
    eyes: float = 1.0
    lips: float = 1.0
    expression: float = 1.0


def play_to_and_fro(clip: MotionClip, fps: float, count: int) -> MotionClip:
    """Return `count` frames at another rate; a shorter clip is played forwards and
    backwards in turn, so that nothing jumps."""
    last = len(clip) - 1
    position = np.arange(count) * (clip.fps / fps)
    # A triangle wave between the first frame and the last.
    turned = last - np.abs(position % max(2 * last, 1) - last)
    return clip.at(np.clip(turned, 0, last), fps)


def layer_lips(
    voice: MotionClip, head: MotionClip, groups: KeypointGroups
) -> MotionClip:
    """Return the lips of a voice over the head, eyes and expression of another clip.

    Args:
      voice: motion with an expression; it decides the length and the rate.
      head: motion of any length and rate; a shorter one is played to and fro.
      groups: the keypoints of the lips.
    """
    base = play_to_and_fro(head, voice.fps, len(voice))
    expression = _expression_of(base)
    lips = list(groups.lips)
    expression[:, lips] = _expression_of(voice)[:, lips]
    # The lips of the head's clip do not open as those of the voice.
    layered = replace(base, expression=expression, lips=voice.lips)
    if voice.rest is None:
        return layered
    still = expression[:1].copy()
    still[:, lips] = _expression_of(voice.rest)[:, lips]
    return replace(layered, rest=replace(layered[:1], expression=still))


def rest_lips(
    keypoints: Float32[np.ndarray, "n k 3"],
    expression: Float32[np.ndarray, "n k 3"],
    groups: KeypointGroups,
) -> Float32[np.ndarray, "k 3"]:
    """Return the expression of a face while its lips are shut.

    It is the median over the tenth of the frames in which the lips' keypoints are
    closest to each other, from top to bottom.

    Args:
      keypoints: canonical keypoints of the frames.
      expression: their offsets.
      groups: the keypoints of the lips.
    """
    # Their y only: n k 3 -> n lips
    lips = (keypoints + expression)[:, list(groups.lips), 1]
    heights = np.ptp(lips, axis=1)
    shut = heights <= np.quantile(heights, SHUT_SHARE)
    return np.median(expression[shut], axis=0)


def strengthen(
    clip: MotionClip, rest: MotionClip, strengths: Strengths, groups: KeypointGroups
) -> MotionClip:
    """Return a clip whose motion since `rest`, one frame, is multiplied.

    A head that is turned half around or more at the factor 1 has no direction to turn
    on, and stays.
    """
    fields = {}
    if clip.expression is not None and rest.expression is not None:
        factors = _keypoint_factors(strengths, groups)
        change = clip.expression - rest.expression
        fields["expression"] = rest.expression + factors[:, None] * change
    if clip.rotation is not None and rest.rotation is not None:
        start = np.repeat(rest.rotation, len(clip), axis=0)
        weight = np.full(len(clip), strengths.head)
        fields["rotation"] = rotation.interpolate(start, clip.rotation, weight)
    factor = np.float32(strengths.head)
    for name in ("translation", "logits"):
        values = getattr(clip, name)
        start = getattr(rest, name)
        if values is not None and start is not None:
            fields[name] = start + factor * (values - start)
    # Sizes are ratios, and so is their strength.
    if clip.scale is not None and rest.scale is not None:
        fields["scale"] = rest.scale * (clip.scale / rest.scale) ** factor
    return replace(clip, **fields)


def smooth_head(clip: MotionClip, seconds: float) -> MotionClip:
    """Return a clip whose head follows its motion by a time constant; 0 changes nothing.

    Each frame goes a share of the way from the frame before to its own motion, so that
    the expression is not delayed, and the head is.

    Source: JoyVASA, whose time constant is 4 s.
    """
    share = 1.0 if seconds == 0 else min(1.0, 1 / (seconds * clip.fps))
    if share == 1 or not clip.moves_head:
        return clip
    fields = {}
    if clip.rotation is not None:
        # As published, each angle by itself.
        angles = _follow(rotation.angles_of(clip.rotation), share)
        fields["rotation"] = rotation.matrices_of(angles)
    for name in ("translation", "scale", "logits"):
        values = getattr(clip, name)
        if values is not None:
            fields[name] = _follow(values, share)
    return replace(clip, **fields)


def _follow(
    values: Float32[np.ndarray, "n *v"], share: float
) -> Float32[np.ndarray, "n *v"]:
    """Return values of which each goes a share of the way from the last to its own."""
    # In float32, errors would add up from frame to frame.
    followed = values.astype(np.float64)
    for frame in range(1, len(values)):
        last = followed[frame - 1]
        followed[frame] = last + share * (values[frame] - last)
    return followed.astype(np.float32)


def _expression_of(clip: MotionClip) -> Float32[np.ndarray, "n k 3"]:
    if clip.expression is None:
        return np.zeros((len(clip), KEYPOINTS, 3), np.float32)
    return clip.expression.copy()


def _keypoint_factors(
    strengths: Strengths, groups: KeypointGroups
) -> Float32[np.ndarray, " k"]:
    factors = np.full(KEYPOINTS, strengths.expression, np.float32)
    # Regions may overlap in other networks: lips come last.
    factors[[*groups.eyes, *groups.brows]] = strengths.eyes
    factors[list(groups.lips)] = strengths.lips
    return factors
