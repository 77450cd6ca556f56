"""Portraits: faces that are ready to be animated, of a picture or of a video."""

from jaxportrait.portrait.base import Frame, Subject
from jaxportrait.portrait.faces import hold_last, paste_in_turn
from jaxportrait.portrait.lips import check_lip_sync, check_no_head, sync_lips
from jaxportrait.portrait.picture import Portrait
from jaxportrait.portrait.preparer import AnyPicture, AnySource, Preparer
from jaxportrait.portrait.video import PortraitVideo, rate_of

AnyPortrait = Portrait | PortraitVideo

__all__ = [
    "AnyPicture",
    "AnyPortrait",
    "AnySource",
    "Frame",
    "Portrait",
    "PortraitVideo",
    "Preparer",
    "Subject",
    "check_lip_sync",
    "check_no_head",
    "hold_last",
    "paste_in_turn",
    "rate_of",
    "sync_lips",
]
