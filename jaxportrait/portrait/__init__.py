"""Portraits: faces that are ready to be animated, of a picture or of a video."""

from jaxportrait.portrait.base import Frame, Subject
from jaxportrait.portrait.faces import hold_last, paste_in_turn
from jaxportrait.portrait.lips import check_lip_sync, check_no_head, sync_lips
from jaxportrait.portrait.picture import Portrait, prepare_portrait, prepare_portraits
from jaxportrait.portrait.video import PortraitVideo, prepare_video, rate_of

AnyPortrait = Portrait | PortraitVideo

__all__ = [
    "AnyPortrait",
    "Frame",
    "Portrait",
    "PortraitVideo",
    "Subject",
    "check_lip_sync",
    "check_no_head",
    "hold_last",
    "paste_in_turn",
    "prepare_portrait",
    "prepare_portraits",
    "prepare_video",
    "rate_of",
    "sync_lips",
]
