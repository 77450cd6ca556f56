"""Held-out clips driven by their own frames: which ones, and what is made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from train.data.frames import FrameRecord, decode_image
from train.evaluate.renderer.animate import LoadedRenderer

Picture = UInt8[np.ndarray, "s s 3"]


@dataclass(frozen=True)
class Pair:
    """A frame that drives the first one of its clip, and what the networks make of the
    two.

    Attributes:
      source, true, made: at the size that G makes; `true` is the driving frame.
      reduced: the driving frame, taken down to the size that M reads and back.
      landmarks: of the driving frame, as in `FrameRecord`.
    """

    clip: str
    subject: str
    source: Picture
    true: Picture
    made: Picture
    reduced: Picture
    landmarks: Float32[np.ndarray, "l 2"]


def driving_frames(frames: int, count: int) -> list[int]:
    """`count` frames of a clip but the first, in the middles of as many equal parts;
    all of them if there are fewer."""
    count = min(count, frames - 1)
    return [1 + (2 * part + 1) * (frames - 1) // (2 * count) for part in range(count)]


def make_pairs(
    renderer: LoadedRenderer,
    records: Sequence[FrameRecord],
    count: int,
    image_size: int,
) -> Iterator[Pair]:
    """Yield `count` pairs, shared out evenly over the clips; fewer where the clips have
    not so many frames.

    Args:
      image_size: side of the pictures that F and M read.
    """
    for index, record in enumerate(records):
        share = count // len(records) + (index < count % len(records))
        if share and record.frames > 1:
            yield from _pairs_of(
                renderer, record, driving_frames(record.frames, share), image_size
            )


def _pairs_of(
    renderer: LoadedRenderer,
    record: FrameRecord,
    chosen: Sequence[int],
    image_size: int,
) -> Iterator[Pair]:
    first, *driving = (decode_image(record.images[frame]) for frame in (0, *chosen))
    read = [resize(picture, image_size) for picture in driving]
    made = renderer.follow(
        renderer.encode(resize(first, image_size)), renderer.motion(read)
    )
    size = made.shape[1]
    for frame, true, small, picture in zip(chosen, driving, read, made, strict=True):
        images = resize(first, size), resize(true, size), picture, resize(small, size)
        yield Pair(record.clip, record.subject, *images, record.landmarks[frame])


def resize(picture: Picture, size: int) -> Picture:
    """A square picture of `size` pixels a side: reduced by area, enlarged by cubics."""
    how = cv2.INTER_AREA if size <= len(picture) else cv2.INTER_CUBIC
    return cv2.resize(picture, (size, size), interpolation=how).astype(
        np.uint8, copy=False
    )
