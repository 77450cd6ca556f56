"""Follow the face through a clip, and frame it once for the whole of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from jaxportrait.media.crop import CLIP_SCALE, FaceRectangle, clip_rectangle, frame_face
from jaxportrait.media.faces import Detector, Face, NoFaceError

LOOK_INTERVAL = 0.2
"""Seconds between two detections: the crop is a mean over the clip, and heads move
slowly."""
LEAST_SIGHTINGS = 0.5
"""Share of the looks that must find the face. With fewer, the face is turned away or is
an error of the detector."""
FARTHEST_STRAY = 0.5
"""Distance from the median, in sides of the median hull: no crop holds a face that moves
farther."""
LARGEST_GROWTH = 1.5
"""Ratio of a hull to the median hull, or its inverse, beyond which it's an error."""

Sighting = tuple[float, FaceRectangle]
"""Seconds at which a face is detected, and its hull."""


@dataclass(frozen=True)
class Track:
    """A clip's frames and the square that holds the face in all of them.

    Attributes:
      times: seconds of every frame on the file's clock.
      rectangle: the square, in pixels of the frames.
    """

    times: Float64[np.ndarray, " frames"]
    rectangle: FaceRectangle


def track_face(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]],
    detector: Detector,
    zoom: float = 1.0,
) -> Track:
    """Follow the face that is largest at first.

    It is detected five times a second and interpolated between.

    Args:
      frames: times in seconds and RGB pictures, in order.
      detector: finds faces in a picture.
      zoom: how many times tighter than published to frame the face.

    Raises:
      NoFaceError: fewer than half of the looks find the face.

    Source: LivePortrait frames a driving video by the mean of its faces' squares: scale
    2.2, vy -0.1, not turned.
    """
    times: list[float] = []
    looks: list[float] = []
    sightings: list[Sighting] = []
    for seconds, image in frames:
        times.append(seconds)
        # Times in containers are rounded to milliseconds.
        if looks and seconds - looks[-1] < LOOK_INTERVAL - 1e-3:
            continue
        looks.append(seconds)
        faces = detector.find(image)
        if faces:
            face = _choose_face(faces, sightings)
            sightings.append((seconds, face.hull))
    steady = _without_strays(sightings)
    if not looks or len(steady) < LEAST_SIGHTINGS * len(looks):
        raise NoFaceError(
            f"the {detector.name} detector finds a steady face in {len(steady)} of "
            f"{len(looks)} looks: the clip needs one face seen from the front that "
            "stays in place"
        )
    rectangle = _frame(np.array(times), steady, detector, zoom)
    return Track(np.array(times), rectangle)


def _choose_face(faces: list[Face], sightings: list[Sighting]) -> Face:
    """Return the largest of the faces near the median sighting; the largest of all
    where none is near."""
    if not sightings:
        return _largest(faces)
    # The median ignores single errors of the detector.
    x, y, size = np.median(_rows(sightings), axis=0)
    near = []
    for face in faces:
        distance = np.hypot(*np.subtract(face.hull.center, (x, y)))
        if distance <= FARTHEST_STRAY * size:
            near.append(face)
    return _largest(near or faces)


def _largest(faces: list[Face]) -> Face:
    return max(faces, key=lambda face: face.area)


def _without_strays(sightings: list[Sighting]) -> list[Sighting]:
    """Leave out errors of the detector: hulls far from the median or of another
    size."""
    if not sightings:
        return []
    steady = _is_steady(_rows(sightings))
    pairs = zip(sightings, steady, strict=True)
    return [sighting for sighting, keep in pairs if keep]


def _is_steady(rows: Float64[np.ndarray, "looks 3"]) -> Bool[np.ndarray, " looks"]:
    x, y, size = np.median(rows, axis=0)
    near = np.hypot(rows[:, 0] - x, rows[:, 1] - y) <= FARTHEST_STRAY * size
    small = rows[:, 2] <= LARGEST_GROWTH * size
    large = rows[:, 2] * LARGEST_GROWTH >= size
    return near & small & large


def _rows(sightings: list[Sighting]) -> Float64[np.ndarray, "looks 3"]:
    """Return center x, center y and side of every hull."""
    return np.array([(*hull.center, hull.size) for _, hull in sightings])


def _frame(
    times: Float64[np.ndarray, " frames"],
    sightings: list[Sighting],
    detector: Detector,
    zoom: float,
) -> FaceRectangle:
    """Return the square to cut out; clips that are already cropped stay as they are."""
    if detector.keeps_crop:
        return frame_face(sightings[0][1], upright=False)
    # Between two sightings, the hull moves and grows linearly.
    looks = [seconds for seconds, _ in sightings]
    columns = _rows(sightings).T
    x, y, size = (np.interp(times, looks, column).tolist() for column in columns)
    hulls = []
    for values in zip(x, y, size, strict=True):
        hulls.append(FaceRectangle(values[:2], values[2]))
    return clip_rectangle(hulls, CLIP_SCALE / zoom)
