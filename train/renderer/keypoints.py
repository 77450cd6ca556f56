"""Meanings of a renderer's keypoints: which of them lie on eyes, brows and lips."""

from collections.abc import Collection

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.checkpoint.description import FORMAT_1_KEYPOINTS
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
    in any region, they are those of the untrained parts' checkpoint, LivePortrait's, or
    format 1's where nothing tells what the landmarks are.

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
    if rest is not None:
        return rest.keypoints
    # Data sets of format 1 name no landmarks, and had the groups of that format.
    return KeypointGroups() if landmarks else FORMAT_1_KEYPOINTS


def guided_by(landmarks: Collection[int], guided: Guides) -> tuple[int, ...]:
    """Return the keypoints that lie on one of `landmarks`, in order."""
    keypoints = {keypoint for keypoint, landmark in guided if landmark in landmarks}
    return tuple(sorted(keypoints))
