"""Held-out clips driven by their own frames: the choice of frames, and the pictures
rendered of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.renderer import Renderer
from train.data.pictures import FrameRecord, decode_image
from train.data.spacing import evenly_spaced

UNSTITCHED = Retargeting(stitching=False)
"""The renderer is judged without the networks that correct keypoints."""

Picture = UInt8[np.ndarray, "s s 3"]


@dataclass(frozen=True)
class Pair:
    """The first frame of a clip, driven by another one; all pictures have the size that
    G renders.

    Attributes:
      clip: name of the clip.
      subject: name of the person.
      source: first frame of the clip.
      true: driving frame.
      rendered: source with the motion of the driving frame.
      reduced: driving frame, reduced to the size that M reads and enlarged again.
      landmarks: landmarks of the driving frame, as in `FrameRecord`.
    """

    clip: str
    subject: str
    source: Picture
    true: Picture
    rendered: Picture
    reduced: Picture
    landmarks: Float32[np.ndarray, "l 2"]


def driving_frames(frames: int, count: int) -> list[int]:
    """Choose `count` frames of a clip, evenly spaced, but not the first; all of them if
    there are fewer."""
    return [1 + index for index in evenly_spaced(frames - 1, count)]


def make_pairs(
    renderer: Renderer, records: Sequence[FrameRecord], count: int
) -> Iterator[Pair]:
    """Yield `count` pairs, shared evenly among the clips; fewer if the clips are too
    short."""
    share, rest = divmod(count, len(records))
    for index, record in enumerate(records):
        # the first clips share the rest
        pairs = share + (index < rest)
        if pairs and record.frames > 1:
            chosen = driving_frames(record.frames, pairs)
            yield from _pairs_of(renderer, record, chosen)


def _pairs_of(
    renderer: Renderer, record: FrameRecord, chosen: Sequence[int]
) -> Iterator[Pair]:
    first = decode_image(record.images[0])
    driving = [decode_image(record.images[frame]) for frame in chosen]
    reduced = [resize(picture, renderer.image_size) for picture in driving]
    source = renderer.source(resize(first, renderer.image_size))
    motion = renderer.read(reduced, MOTION_FPS)
    # the frames are of the source's own clip: it has their pose and expression
    keypoints = renderer.keypoints(source, motion, "source", UNSTITCHED)
    rendered = np.concatenate(list(renderer.frames(source, keypoints)))
    # G may render larger pictures than M reads.
    size = rendered.shape[1]
    for index, frame in enumerate(chosen):
        yield Pair(
            record.clip,
            record.subject,
            source=resize(first, size),
            true=resize(driving[index], size),
            rendered=rendered[index],
            reduced=resize(reduced[index], size),
            landmarks=record.landmarks[frame],
        )


def resize(picture: Picture, size: int) -> Picture:
    """Return a square picture of `size` pixels a side: reduced by area, enlarged by
    cubics."""
    method = cv2.INTER_AREA if size <= len(picture) else cv2.INTER_CUBIC
    resized = cv2.resize(picture, (size, size), interpolation=method)
    return resized.astype(np.uint8, copy=False)
