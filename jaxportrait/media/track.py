"""Follow the face through a clip, and frame it once for the whole of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from jaxportrait.media.crop import CLIP_SCALE, FaceRectangle, clip_rectangle, frame_face
from jaxportrait.media.faces import Detector, Face, NoFaceError

LOOK_INTERVAL = 0.2
"""Seconds between two detections: the crop is a mean over the clip, and heads move
slowly."""
ROUNDING = 1e-3
"""Seconds to which times in containers are rounded."""
LEAST_SIGHTINGS = 0.5
"""Share of the looks that must find the face. With fewer, the face is turned away or is
an error of the detector."""
FARTHEST_STRAY = 0.5
"""Distance from the median, in sides of the median hull: no crop holds a face that moves
farther."""
LARGEST_GROWTH = 1.5
"""Ratio of a hull to the median hull, or its inverse, beyond which it's an error."""

LONGEST_ABSENCE = 0.6
"""Seconds between two sightings; over more, the face is out of sight. Detectors miss it
in single looks."""

Part = tuple[float, float]
"""Seconds of the first and last picture of a part."""
Sighting = tuple[float, FaceRectangle]
"""Seconds at which a face is detected, and its hull."""


@dataclass(frozen=True)
class Track:
    """A clip's frames and the square that holds the face in all of them.

    Attributes:
      times: seconds of every frame on the file's clock.
      rectangle: the square, in pixels of the frames.
      parts: parts of the clip that show the face throughout, in order.
    """

    times: Float64[np.ndarray, " frames"]
    rectangle: FaceRectangle
    parts: tuple[Part, ...]

    @property
    def longest_part(self) -> Part:
        return max(self.parts, key=_seconds)

    @property
    def absences(self) -> str:
        """A line that says when the face is out of sight; empty if it never is."""
        return _describe_absences(self.times, self.parts)

    def shows(self, parts: Iterable[Part]) -> Bool[np.ndarray, " frames"]:
        """Return which frames lie in one of the parts."""
        shown = np.zeros(len(self.times), bool)
        for start, stop in parts:
            shown |= (self.times >= start) & (self.times <= stop)
        return shown


def track_face(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]],
    detector: Detector,
    zoom: float = 1.0,
) -> Track:
    """Follow the face that is largest at first.

    It is detected five times a second and interpolated between. A run of more than
    `LONGEST_ABSENCE` without it ends a part.

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
        if looks and seconds - looks[-1] < LOOK_INTERVAL - ROUNDING:
            continue
        looks.append(seconds)
        faces = detector.find(image)
        if faces:
            face = _choose_face(faces, sightings)
            sightings.append((seconds, face.hull))
    steady = _without_strays(sightings)
    clock = np.array(times)
    parts = _parts(clock, [seconds for seconds, _ in steady])
    if not looks or len(steady) < LEAST_SIGHTINGS * len(looks):
        absences = f" ({_describe_absences(clock, parts)})" if parts else ""
        raise NoFaceError(
            f"the {detector.name} detector finds a steady face in {len(steady)} of "
            f"{len(looks)} looks{absences}: the clip needs one face seen from the "
            "front that stays in place"
        )
    rectangle = _frame(clock, steady, detector, zoom)
    return Track(clock, rectangle, parts)


def _parts(
    times: Float64[np.ndarray, " frames"], sightings: Sequence[float]
) -> tuple[Part, ...]:
    """Return the parts of a clip between absences of the face.

    Args:
      times: seconds of all frames.
      sightings: seconds at which the face is seen.
    """
    if not sightings:
        return ()
    starts = [sightings[0]]
    stops = []
    for before, after in pairwise(sightings):
        if after - before > LONGEST_ABSENCE + ROUNDING:
            stops.append(before)
            starts.append(after)
    stops.append(sightings[-1])
    # Frames near the clip's ends belong to its first and last part.
    if starts[0] - times[0] <= LONGEST_ABSENCE:
        starts[0] = float(times[0])
    if times[-1] - stops[-1] <= LONGEST_ABSENCE:
        stops[-1] = float(times[-1])
    return tuple(zip(starts, stops, strict=True))


def _describe_absences(
    times: Float64[np.ndarray, " frames"], parts: Sequence[Part]
) -> str:
    """Return a line about the times that no part covers; empty if there are none."""
    # An absence lies between the end of a part and the start of the next one.
    ends = [times[0], *(stop for _, stop in parts)]
    starts = [*(start for start, _ in parts), times[-1]]
    ranges = []
    for end, start in zip(ends, starts, strict=True):
        if start > end:
            ranges.append(f"from {end:.2f} to {start:.2f} s")
    return f"the face is out of sight {', '.join(ranges)}" if ranges else ""


def _seconds(part: Part) -> float:
    start, stop = part
    return stop - start


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
