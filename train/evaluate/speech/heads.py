"""Heads with a known truth: their clips, the motion in their truth files, and where in
the picture the face and its parts are."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

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
from train.data.landmarks import points_of
from train.data.truth import read_arrays, read_truth, truth_path

LOOK_FRAMES = 15
"""Frames between two looks for the face, of which one box is made for the clip."""

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class TrueMotion:
    """Motion of a head as its truth file has it; see docs/synthetic.md for details.

    Attributes:
      opening: height between the lips in each frame.
      blink: 0 for open lids, 1 for shut ones.
      pose: pitch, yaw and roll in degrees.
      translation: x and y in parts of the picture's side.
      closures: start and end of the closures of p, b and m, in seconds.
    """

    opening: Float[np.ndarray, " f"]
    blink: Float[np.ndarray, " f"]
    pose: Float[np.ndarray, "f 3"]
    translation: Float[np.ndarray, "f 2"]
    closures: Float[np.ndarray, "k 2"]


@dataclass(frozen=True)
class Region:
    """A square of the face, in sides of the face's hull.

    Attributes:
      right: distance of its centre to the right of the centre of the face's box.
      down: distance of its centre below the centre of the face's box.
      side: side of the square.
    """

    right: float
    down: float
    side: float


REACH = 2.0
"""Side of a region in widths of its landmarks: drawn mouths and lids stay inside,
whatever the pose."""
STRAYS = 1
"""Percent of the landmarks on each side that are left out of that width."""


def find_heads(root: Path, count: int | None = None) -> list[Clip]:
    """List the clips below `root`; `count` of them, evenly spaced, if there are more.

    Raises:
      FileNotFoundError: there is no such folder.
      ValueError: it holds no clips.
    """
    # `train.synthetic` writes MEAD's tree
    clips = find_clips(root, "mead", Selection())
    count = min(count or len(clips), len(clips))
    return [clips[index * len(clips) // count] for index in range(count)]


def read_motion_truth(clip: Clip) -> TrueMotion:
    """Read the motion in the truth file beside a clip.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is damaged, or lacks some of the motion.
    """
    path = truth_path(clip.video)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, and heads without truth cannot be measured: use `train.synthetic`'s"
        )
    names = [field.name for field in fields(TrueMotion)]
    arrays = read_arrays(path, names)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: draw the heads again")
    values = {name: arrays[name].astype(np.float64) for name in names}
    # no closure at all may have any shape
    values["closures"] = values["closures"].reshape(-1, 2)
    return TrueMotion(**values)


def read_points(
    clip: Clip, names: Sequence[str], frames: int
) -> Float[np.ndarray, "f l 2"]:
    """Read the landmarks of the named groups from the truth beside a clip, in pixels.

    Raises:
      ValueError: the truth file does not say which landmarks these are.
    """
    truth = read_truth(clip.video, frames)
    points = points_of(truth.landmark_groups, names)
    if truth.landmarks is None or not points:
        raise ValueError(
            f"{truth_path(clip.video)} names no landmarks {', '.join(names)}: draw the heads again"
        )
    return truth.landmarks[:, points]


def find_face(video: Path, detector: Detector) -> FaceRectangle:
    """Return one box for the face in all frames of a video, framed as `train.frames`
    frames it at zoom 1, but from fewer looks.

    Raises:
      NoFaceError: there is no steady face.
    """
    looks = list(islice(VideoReader(video), 0, None, LOOK_FRAMES))
    return track_face(looks, detector).rectangle


def relative_points(
    points: Float[np.ndarray, "f l 2"], box: FaceRectangle
) -> Float[np.ndarray, "n 2"]:
    """Return points relative to the centre of a face's box, in sides of the hull."""
    hull = box.size / CLIP_SCALE
    return (points.reshape(-1, 2) - np.array(box.center)) / hull


def region_around(points: Float[np.ndarray, "n 2"]) -> Region:
    """Return the region of landmarks seen in many frames and faces.

    Args:
      points: landmarks by `relative_points`.
    """
    right, down = points.mean(axis=0)
    left_end, right_end = np.percentile(points[:, 0], [STRAYS, 100 - STRAYS])
    side = REACH * (right_end - left_end)
    return Region(float(right), float(down), float(side))


def cut_region(
    picture: Picture, box: FaceRectangle, region: Region, size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Return a region of the face, `size` pixels a side, reduced by area from twice as
    many."""
    hull = box.size / CLIP_SCALE
    center = (box.center[0] + region.right * hull, box.center[1] + region.down * hull)
    square = FaceRectangle(center, region.side * hull)
    return network_input(crop_face(picture, square, 2 * size), size)


def tighten(box: FaceRectangle, zoom: float) -> FaceRectangle:
    """Return the box that `train.frames` would make with another zoom."""
    # undo the framing of the tracker
    center = (box.center[0], box.center[1] - CLIP_SHIFT * box.size)
    hull = FaceRectangle(center, box.size / CLIP_SCALE)
    return frame_face(hull, CLIP_SCALE / zoom, vy=CLIP_SHIFT, upright=False)


def neutral_frame(truth: TrueMotion) -> int:
    """Return the frame whose lips and lids are nearest to rest: mouth shut, eyes
    open."""
    # both terms are 0 at rest and about 1 at most
    opening = truth.opening / max(truth.opening.max(), 1e-6)
    return int(np.argmin(opening + np.abs(truth.blink)))


def pictures_of(video: Path) -> Sequence[Picture]:
    """Return all frames of a short video."""
    return [picture for _, picture in VideoReader(video)]
