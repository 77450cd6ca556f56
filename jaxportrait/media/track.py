"""Follow the face through a clip, and frame it once for the whole of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from jaxportrait.media.crop import CLIP_SCALE, FaceRectangle, clip_rectangle, frame_face
from jaxportrait.media.faces import Detector, Face, NoFaceError

LOOK_EVERY = 0.2  # seconds; the crop is a mean over the clip, and heads move slowly
LEAST_SEEN = 0.5  # part of the looks; below it the face is turned away, or what was found is none
FARTHEST_STRAY = 0.5  # from the median, in sides of the median hull: one crop holds no face that moves farther
LARGEST_GROWTH = 1.5

Look = tuple[float, FaceRectangle]
"""When a face was seen, and its hull."""


@dataclass(frozen=True)
class Track:
    """A clip's frames and the square that holds the face in all of them.

    Attributes:
      times: of every frame, in seconds on the file's clock.
      rectangle: in pixels of the frames.
    """

    times: Float64[np.ndarray, " frames"]
    rectangle: FaceRectangle


def track_face(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]],
    detector: Detector,
    zoom: float = 1.0,
) -> Track:
    """Follow the face that is largest at first; it is sought five times a second and
    interpolated between.

    Args:
      frames: times and RGB pictures, in order.
      zoom: how many times tighter to frame it than is published.

    Raises:
      NoFaceError: not found in at least half of the looks.

    Source: LivePortrait frames a driving video by the mean of its faces' squares: scale
    2.2, vy -0.1, not turned.
    """
    times: list[float] = []
    looks: list[float] = []
    seen: list[Look] = []
    for seconds, image in frames:
        times.append(seconds)
        if not looks or seconds - looks[-1] >= LOOK_EVERY - 1e-3:
            looks.append(seconds)
            if faces := detector.find(image):
                seen.append((seconds, _follow(faces, seen).hull))
    steady = _without_strays(seen)
    if not looks or len(steady) < LEAST_SEEN * len(looks):
        raise NoFaceError(
            f"the {detector.name} detector finds a steady face in {len(steady)} of {len(looks)} looks: "
            "the clip needs one face seen from the front that stays in place"
        )
    return Track(np.array(times), _frame(np.array(times), steady, detector, zoom))


def _follow(faces: list[Face], seen: list[Look]) -> Face:
    """The largest of the faces near to where most were seen so far; the largest of all
    where none is near."""
    if not seen:
        return _largest(faces)
    x, y, size = np.median(_rows(seen), axis=0)
    near = [
        face
        for face in faces
        if np.hypot(*np.subtract(face.hull.center, (x, y))) <= FARTHEST_STRAY * size
    ]
    return _largest(near or faces)


def _largest(faces: list[Face]) -> Face:
    return max(faces, key=lambda face: face.area)


def _without_strays(seen: list[Look]) -> list[Look]:
    """Leave out what lies far from the median or is of another size: the detector's
    errors."""
    if not seen:
        return []
    rows = _rows(seen)
    x, y, size = np.median(rows, axis=0)
    near = np.hypot(rows[:, 0] - x, rows[:, 1] - y) <= FARTHEST_STRAY * size
    alike = (rows[:, 2] <= LARGEST_GROWTH * size) & (
        rows[:, 2] * LARGEST_GROWTH >= size
    )
    return [look for look, keep in zip(seen, near & alike, strict=True) if keep]


def _rows(seen: list[Look]) -> Float64[np.ndarray, "looks 3"]:
    return np.array([(*hull.center, hull.size) for _, hull in seen])


def _frame(
    times: Float64[np.ndarray, " frames"],
    seen: list[Look],
    detector: Detector,
    zoom: float,
) -> FaceRectangle:
    """The square to cut out; clips that are already cropped stay as they are."""
    if detector.keeps_crop:
        return frame_face(seen[0][1], upright=False)
    looks = [seconds for seconds, _ in seen]
    x, y, size = (np.interp(times, looks, column).tolist() for column in _rows(seen).T)
    hulls = [
        FaceRectangle(center[:2], center[2]) for center in zip(x, y, size, strict=True)
    ]
    return clip_rectangle(hulls, CLIP_SCALE / zoom)
