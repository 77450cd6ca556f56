"""Rest: the frame from which motion is counted, and which leaves the source as it is."""

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.rotation import angles_of, matrices_of
from jaxportrait.motion.space import KeypointGroups, Region
from jaxportrait.pipeline.compose import Composition
from jaxportrait.ranges import check_choice

RestPolicy = Literal["mixed", "first", "source", "neutral"]

NEUTRAL_EXPRESSION = np.array(
    [
        [-9.4524e-05, 0.00024222, -4.00974e-05],
        [0.000208596, 0.000468054, 1.27464e-05],
        [-0.000124602, 0.000324972, 4.425e-06],
        [0.000119652, -0.000456624, 5.40852e-05],
        [-0.000265254, -7.4598e-05, -1.5528e-05],
        [-3.34884e-05, -0.000183036, -3.49404e-06],
        [-4.75428e-07, -4.52466e-07, 1.59498e-06],
        [-0.000541296, 0.0026328, 7.2486e-06],
        [-1.1694e-05, 5.00502e-06, 9.9888e-06],
        [8.0286e-07, 5.19132e-06, -0.000409344],
        [0.000166878, -1.9815e-05, -8.8548e-05],
        [-1.51536e-05, 8.2506e-05, 5.94012e-06],
        [-2.61054e-07, 2.7591e-06, 2.21028e-06],
        [-6.6282e-05, -6.8286e-05, -3.45318e-06],
        [-0.00083262, -0.00179592, -2.59176e-06],
        [6.9714e-06, 3.65514e-05, -1.8978e-06],
        [-4.80876e-06, 7.1148e-06, -1.03236e-05],
        [-0.00063684, -0.0011661, 5.62314e-05],
        [0.00028329, -1.45656e-05, 1.09746e-05],
        [-4.16022e-06, -0.0150906, -0.0025494],
        [0.000222474, 0.00562788, 0.00272646],
    ],
    np.float32,
)
"""Expression of a face with its lips shut, a row a keypoint.

Source: LivePortrait, `lip_array`.
"""


def choose_rest(
    clip: MotionClip,
    rest: RestPolicy | MotionClip,
    groups: KeypointGroups,
    *,
    region: Region,
    composition: Composition,
) -> MotionClip | None:
    """Return the frame that motion is counted from in a composition; see `find_rest`.

    Args:
      rest: the policy, or a clip whose first frame it is.
    """
    if isinstance(rest, MotionClip):
        return rest[:1]
    # These programs count from the first frame, and know no other rest.
    if composition in ("joyvasa", "ditto"):
        rest = "first"
    return find_rest(clip, rest, groups, region)


def find_rest(
    clip: MotionClip,
    policy: RestPolicy,
    groups: KeypointGroups,
    region: Region = "all",
) -> MotionClip | None:
    """Return the one frame that motion is counted from; it leaves the source as it is.

    Motion with an emotion counts from the rest of the same motion without it.

    Args:
      clip: a whole clip, for "mixed".
      policy: "mixed" rests lips and jaw in the clip's own rest, or else in the first
        frame, before anything is said. A head may look aside there, and lids may be
        shut. So these rest at their median over the clip. "first" rests everything in
        that one frame. "source" is None: motion is counted from the source's own, so
        that it is absolute. "neutral" is for one driving picture: its expression counts
        from a face at rest, and its head does not move the source's.
      groups: the keypoints of eyes and brows, which "mixed" rests at their median.
      region: the part of the face that moves, for "neutral".

    Raises:
      ValueError: there is no such policy.
    """
    check_choice("rest", policy, RestPolicy)
    if policy == "source":
        return None
    # A steady emotion would be part of its own rest, and would not show.
    if clip.neutral is not None:
        clip = clip.neutral
    if policy == "first":
        return clip[:1] if clip.rest is None else clip.rest
    if policy == "mixed":
        return _mixed_rest(clip, (*groups.eyes, *groups.brows))
    return _neutral_rest(clip[:1], region)


def _neutral_rest(picture: MotionClip, region: Region) -> MotionClip:
    if picture.expression is None:
        return picture
    neutral = np.broadcast_to(NEUTRAL_EXPRESSION, picture.expression.shape)
    # As published, eyes by themselves count from no expression at all.
    if region == "eyes":
        neutral = np.zeros_like(neutral)
    return replace(picture, expression=neutral)


def _mixed_rest(clip: MotionClip, median_keypoints: tuple[int, ...]) -> MotionClip:
    expression = None
    # Lips and jaw of silence, eyes and brows of the median.
    if clip.expression is not None:
        silence = None if clip.rest is None else clip.rest.expression
        still = clip.expression if silence is None else silence
        expression = still[:1].copy()
        upper = list(median_keypoints)
        expression[:, upper] = np.median(clip.expression[:, upper], axis=0)
    rotation = None
    # The median of a rotation is that of its angles.
    if clip.rotation is not None:
        rotation = matrices_of(_median(angles_of(clip.rotation)))
    translation = None if clip.translation is None else _median(clip.translation)
    scale = None if clip.scale is None else _median(clip.scale)
    return MotionClip(expression, rotation, translation, scale, clip.fps)


def _median(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "1 d"]:
    return np.median(values, axis=0, keepdims=True)
