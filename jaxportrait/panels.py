"""Clips side by side: the driving face, the source and the result."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np

from jaxportrait.animation import Animation, Frame

T = TypeVar("T")
Column = Callable[[], Iterable[Frame]]
"""Yields at least as many pictures as the clip has frames, all of one size."""


def place_side_by_side(animation: Animation, columns: Sequence[Column]) -> Animation:
    """Return a clip that shows other pictures on the left of its frames.

    Pictures are scaled to the frames' height, and no clip is held in memory.

    Args:
      animation: the clip on the right.
      columns: pictures of every frame, from left to right.

    Source: LivePortrait's concatenated result.
    """
    height = animation.size[1]
    widths = []
    for column in columns:
        picture = next(iter(column()))
        widths.append(column_width(picture.shape[1], picture.shape[0], height))

    def make_frames(finish: Callable[[Frame], T]) -> Iterator[T]:
        # A portrait's column has no end, and a video may have more pictures.
        rows = zip(*(column() for column in columns), strict=False)
        for frame, pictures in zip(animation, rows, strict=False):
            scaled = []
            for picture, width in zip(pictures, widths, strict=True):
                scaled.append(_scale(picture, width, height))
            yield finish(np.concatenate([*scaled, frame], axis=1))

    size = (sum(widths) + animation.size[0], height)
    return replace(animation, size=size, make_frames=make_frames)


def column_width(width: int, height: int, new_height: int) -> int:
    """Return the even width of a picture that is scaled to another height."""
    # H.264's colours have half the resolution.
    return max(2, 2 * round(width * new_height / height / 2))


def _scale(picture: Frame, width: int, height: int) -> Frame:
    if picture.shape[:2] == (height, width):
        return picture
    # Area averages where a picture shrinks; it repeats pixels where one grows.
    shrinks = picture.shape[0] > height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=method)
