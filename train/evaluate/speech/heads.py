"""Drawn heads as they are measured: their clips, the truth beside them, and where in
the picture the face is."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float, UInt8

from jaxportrait.media.crop import (
    CLIP_SCALE,
    CLIP_SHIFT,
    FaceRectangle,
    crop_face,
    frame_face,
    network_input,
)
from jaxportrait.media.faces import Detector
from jaxportrait.media.track import track_face
from jaxportrait.media.video import VideoReader
from train.data.clips import Clip, Selection, find_clips
from train.data.truth import truth_path

LOOK_FRAMES = 15
"""Every so many frames the face is sought, of which one box is made for the whole
clip."""

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Truth:
    """What a truth file says of the frames of its clip; docs/synthetic.md describes the
    arrays."""

    opening: Float[np.ndarray, " f"]
    blink: Float[np.ndarray, " f"]
    pose: Float[np.ndarray, "f 3"]
    translation: Float[np.ndarray, "f 2"]
    closures: Float[np.ndarray, "k 2"]


@dataclass(frozen=True)
class Region:
    """A square of the face, in sides of the face's hull.

    Attributes:
      right, down: of its centre from the centre of the face's box.
      side: of the square.
    """

    right: float
    down: float
    side: float


MOUTH, EYE = Region(0.0, 0.42, 0.95), Region(-0.21, -0.09, 0.65)
"""Where the lips of drawn heads are, and the lids of one eye, whatever the pose:
landmarks lie well inside."""


def find_heads(root: Path, count: int | None = None) -> list[Clip]:
    """The clips below `root`; `count` of them, evenly spread, if there are more.

    Raises:
      FileNotFoundError: no such folder.
      ValueError: it holds no clips.
    """
    clips = find_clips(root, "mead", Selection())
    count = min(count or len(clips), len(clips))
    return [clips[index * len(clips) // count] for index in range(count)]


def read_truth(clip: Clip) -> Truth:
    """The truth beside a clip.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged, or lacks what is measured.
    """
    path = truth_path(clip.video)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, and only drawn heads can be measured: use `train.synthetic`'s"
        )
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            truth = Truth(
                **{
                    name: arrays[name].astype(np.float64)
                    for name in Truth.__dataclass_fields__
                }
            )
    except (BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): draw the heads again"
        ) from error
    return Truth(**{**vars(truth), "closures": truth.closures.reshape(-1, 2)})


def find_face(video: Path, detector: Detector) -> FaceRectangle:
    """One box for the face in all frames of a video, framed as `train.frames` frames it
    at zoom 1, from fewer looks.

    Raises:
      NoFaceError: no steady face.
    """
    return track_face(
        list(islice(VideoReader(video), 0, None, LOOK_FRAMES)), detector
    ).rectangle


def cut_region(
    picture: Picture, box: FaceRectangle, region: Region, size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """A region of the face, `size` pixels a side, reduced by area from twice as
    many."""
    hull = box.size / CLIP_SCALE
    center = (box.center[0] + region.right * hull, box.center[1] + region.down * hull)
    return network_input(
        crop_face(picture, FaceRectangle(center, region.side * hull), 2 * size), size
    )


def tighten(box: FaceRectangle, zoom: float) -> FaceRectangle:
    """The box that `train.frames` would make with another zoom."""
    hull = FaceRectangle(
        (box.center[0], box.center[1] - CLIP_SHIFT * box.size), box.size / CLIP_SCALE
    )
    return frame_face(hull, CLIP_SCALE / zoom, vy=CLIP_SHIFT, upright=False)


def neutral_frame(truth: Truth) -> int:
    """The frame whose lips and lids are nearest to rest: mouth shut, eyes open."""
    return int(
        np.argmin(truth.opening / max(truth.opening.max(), 1e-6) + np.abs(truth.blink))
    )


def pictures_of(video: Path) -> Sequence[Picture]:
    """All frames of a short video."""
    return [picture for _, picture in VideoReader(video)]
