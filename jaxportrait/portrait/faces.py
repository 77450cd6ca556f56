"""Several faces of one picture: each rendered by itself, and pasted in turn."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.portrait.base import Frame, finish_in_threads
from jaxportrait.portrait.picture import Portrait
from jaxportrait.renderer import Renderer

T = TypeVar("T")
Crop = UInt8[np.ndarray, "S S 3"]


def paste_in_turn(
    portraits: Sequence[Portrait],
    renderer: Renderer,
    keypoints: Sequence[Float[np.ndarray, "n k 3"]],
    finish: Callable[[Frame], T],
) -> Iterator[T]:
    """Yield the finished frames of a picture in which all faces move, in order.

    A batch of each face is held at a time, so memory does not grow with the clip.

    Args:
      portraits: faces of one picture; see `prepare_portraits`.
      keypoints: driving keypoints of each face, of the same number of frames.
      finish: applied to every frame in the thread that has pasted it.
    """
    streams = [
        renderer.frames(portrait.source, rows)
        for portrait, rows in zip(portraits, keypoints, strict=True)
    ]

    def complete(crops: Sequence[Crop]) -> T:
        picture = None
        # Each face is pasted onto the frame with those before it.
        for portrait, crop in zip(portraits, crops, strict=True):
            picture = portrait.paste(crop, picture)
        if picture is None:
            raise ValueError("there are no faces: pass one portrait at least")
        return finish(picture)

    # Batches of one face each become frames of all faces.
    batches = (zip(*batch, strict=True) for batch in zip(*streams, strict=True))
    return finish_in_threads(batches, complete)


def hold_last(
    keypoints: Float[np.ndarray, "n k 3"], count: int
) -> Float[np.ndarray, "m k 3"]:
    """Return keypoints of `count` frames; the last one is held at the end."""
    missing = count - len(keypoints)
    return np.pad(keypoints, [(0, missing), (0, 0), (0, 0)], mode="edge")
