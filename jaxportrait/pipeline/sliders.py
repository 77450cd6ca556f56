"""The sliders of a source's keypoints, and a gaze by them that follows its head."""

from dataclasses import replace

import numpy as np

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.gaze import PUBLISHED_GAZE, Gaze
from jaxportrait.motion.landmark_sliders import landmark_sliders
from jaxportrait.motion.rotation import angles_of, matrices_of
from jaxportrait.motion.sliders import PUBLISHED_SLIDERS, Sliders
from jaxportrait.motion.space import PUBLISHED_GROUPS, KeypointGroups
from jaxportrait.types import Source


def choose_sliders(source: Source, groups: KeypointGroups) -> Sliders:
    """Return the sliders of a source's keypoints: LivePortrait's own, or those of
    keypoints that were learned from landmarks.

    Args:
      groups: the motion extractor's keypoints of eyes, brows and lips.
    """
    if groups == PUBLISHED_GROUPS:
        return PUBLISHED_SLIDERS
    motion = source.motion
    # Canonical keypoints are turned before they are moved by the expression.
    turned = np.asarray(motion.keypoints) @ matrices_of(np.asarray(motion.pose))
    # In units of the expression, which comes after the turn.
    points = turned + np.asarray(motion.expression)
    return landmark_sliders(groups, points[0])


def follow_head(
    source: Source,
    clip: MotionClip,
    rest: MotionClip | None,
    factor: float,
    groups: KeypointGroups,
) -> MotionClip:
    """Return a clip whose eyes look to where the head turns.

    Args:
      rest: the frame that turns are counted from; None counts from the source's pose.
      factor: factor of the gaze.
      groups: the motion extractor's keypoints of eyes, brows and lips.

    Raises:
      ValueError: the motion has no head, or no expression.
    """
    if clip.expression is None or clip.rotation is None:
        raise ValueError(
            "this motion has no head or no expression: leave out gaze_strength"
        )
    start = np.asarray(source.motion.pose)
    if rest is not None and rest.rotation is not None:
        start = angles_of(rest.rotation)
    # Keypoints of other networks have other sliders.
    gaze = PUBLISHED_GAZE
    if groups != PUBLISHED_GROUPS:
        gaze = Gaze.of_sliders(choose_sliders(source, groups))
    offsets = gaze.offsets(angles_of(clip.rotation) - start)
    return replace(clip, expression=clip.expression + np.float32(factor) * offsets)
