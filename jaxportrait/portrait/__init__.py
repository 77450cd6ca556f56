"""Portraits: faces that are ready to be animated, of a picture or of a video."""

from jaxportrait.portrait.base import Frame, Subject
from jaxportrait.portrait.picture import Portrait, prepare_portrait

__all__ = ["Frame", "Portrait", "Subject", "prepare_portrait"]
