"""Animators of the tiny networks."""

from pathlib import Path

from jaxportrait import Animator
from jaxportrait.animation import Sampling
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.faces import open_detector

QUICK = Sampling(steps=2)


def open_animator(checkpoint: Path, **options) -> Animator:
    """Open an animator of whole pictures."""
    return Animator(
        open_checkpoint(checkpoint), detector=open_detector("none"), **options
    )
