"""Held-out clips driven by their own frames: which ones, and what is made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.renderer import Renderer
from train.data.frames import FrameRecord, decode_image

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
    renderer: Renderer, records: Sequence[FrameRecord], count: int
) -> Iterator[Pair]:
    """Yield `count` pairs, shared out evenly over the clips; fewer where the clips have
    not so many frames."""
    for index, record in enumerate(records):
        share = count // len(records) + (index < count % len(records))
        if share and record.frames > 1:
            chosen = driving_frames(record.frames, share)
            yield from _pairs_of(renderer, record, chosen)


def _pairs_of(
    renderer: Renderer, record: FrameRecord, chosen: Sequence[int]
) -> Iterator[Pair]:
    first = decode_image(record.images[0])
    driving = [decode_image(record.images[frame]) for frame in chosen]
    reduced = [resize(picture, renderer.image_size) for picture in driving]
    source = renderer.source(resize(first, renderer.image_size))
    motion = renderer.read(reduced, MOTION_FPS)
    # The frames are of the source's own clip: it has their pose and expression.
    keypoints = renderer.keypoints(source, motion, "source")
    rendered = np.concatenate(list(renderer.frames(source, keypoints)))
    size = rendered.shape[1]
    for index, frame in enumerate(chosen):
        yield Pair(
            record.clip,
            record.subject,
            source=resize(first, size),
            true=resize(driving[index], size),
            made=rendered[index],
            reduced=resize(reduced[index], size),
            landmarks=record.landmarks[frame],
        )


def resize(picture: Picture, size: int) -> Picture:
    """A square picture of `size` pixels a side: reduced by area, enlarged by cubics."""
    how = cv2.INTER_AREA if size <= len(picture) else cv2.INTER_CUBIC
    return cv2.resize(picture, (size, size), interpolation=how).astype(
        np.uint8, copy=False
    )
