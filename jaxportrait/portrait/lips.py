"""Lip-sync: a source video whose mouth follows a voice, and nothing else of which
changes."""

from dataclasses import replace

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import KeypointGroups
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.portrait.base import Subject
from jaxportrait.portrait.video import PortraitVideo
from jaxportrait.ranges import OptionError


def sync_lips(
    subject: Subject, retargeting: Retargeting, groups: KeypointGroups
) -> tuple[Subject, Retargeting]:
    """Return a source of which only the mouth is pasted, and options that move only its
    lips.

    Args:
      groups: the keypoints of the lips.

    Raises:
      ValueError: the source is a picture, or the options move something else.
    """
    check_lip_sync(retargeting, is_video=subject.fps is not None)
    if isinstance(subject, PortraitVideo):
        subject = subject.with_lips_only(groups)
    return subject, replace(retargeting, region="lips")


def check_lip_sync(retargeting: Retargeting, *, is_video: bool) -> None:
    """Raise a ValueError unless a source can be lip-synced with these options."""
    if not is_video:
        raise ValueError(
            "lip_sync changes only the mouth of a source video, and the source is a picture: leave it out"
        )
    # "all" is the default, which lip-sync narrows to the lips.
    if retargeting.region not in ("all", "lips"):
        raise OptionError(
            f"lip_sync moves only lips, and region is {retargeting.region!r}: leave out either"
        )
    if retargeting.source_video_eye_retargeting or retargeting.eye_retargeting:
        raise OptionError(
            "lip_sync leaves the eyes to the video: leave out the retargeting of eyes, or lip_sync"
        )


def check_no_head(head: MotionClip | None) -> None:
    """Raise a ValueError where lip-sync has no use for the motion of a head."""
    if head is not None:
        raise ValueError(
            "lip_sync leaves the head to the source video: leave out the motion of a head, or lip_sync"
        )
