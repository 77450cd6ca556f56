"""Meanings of a renderer's keypoints: which of them lie on eyes, brows and lips."""

from collections.abc import Collection

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.motion.space import KeypointGroups
from train.data.landmarks import BROWS, EYES, MOUTH, LandmarkGroups, points_of

Guides = tuple[tuple[int, int], ...]
"""Pairs of a keypoint and the landmark that it lies on."""


def keypoint_groups(
    guided: Guides,
    landmarks: LandmarkGroups,
    init: Checkpoint | None = None,
    rest: Checkpoint | None = None,
) -> KeypointGroups:
    """Return the groups of keypoints of the motion extractor that a run trains.

    An extractor from a checkpoint has the groups of that checkpoint. A new one has those
    of its landmarks, and a region without a guided keypoint has none. Without guidance
    in any region, they are those of the untrained parts' checkpoint or LivePortrait's.

    Args:
      guided: keypoints and their landmarks.
      landmarks: groups of the data set's landmarks; empty if unknown.
      init: checkpoint that the run starts from.
      rest: checkpoint of the parts that are not trained.
    """
    # A checkpoint of other networks leaves the extractor new.
    if init is not None and "motion" in init.parts:
        return init.keypoints
    groups = KeypointGroups(
        eyes=guided_by(points_of(landmarks, EYES), guided),
        brows=guided_by(points_of(landmarks, BROWS), guided),
        lips=guided_by(points_of(landmarks, MOUTH), guided),
    )
    if groups.eyes or groups.brows or groups.lips:
        return groups
    return KeypointGroups() if rest is None else rest.keypoints


def guided_by(landmarks: Collection[int], guided: Guides) -> tuple[int, ...]:
    """Return the keypoints that lie on one of `landmarks`, in order."""
    keypoints = {keypoint for keypoint, landmark in guided if landmark in landmarks}
    return tuple(sorted(keypoints))
