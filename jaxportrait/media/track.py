"""Follow the face through a driving video, and frame it for the whole clip at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from jaxportrait.media.crop import (
    CLIP_SCALE,
    CLIP_SHIFT,
    FaceRectangle,
    clip_rectangle,
    frame_face,
)
from jaxportrait.media.faces import Detector, Face, NoFaceError
from jaxportrait.media.looks import (
    FARTHEST_STRAY,
    LARGEST_GROWTH,
    LONGEST_ABSENCE,
    LOOK_INTERVAL,
    ROUNDING,
    Looks,
    describe_absences,
    look_for_faces,
)
from jaxportrait.ops.curves import interpolate_rows

LEAST_SIGHTINGS = 0.5
"""Share of the looks that must find the face. With fewer, the face is turned away or is
an error of the detector."""
RECENT_LOOKS = 5
"""Looks whose median stands for the place of a face that walks."""
SMOOTHING = 1.0
"""Seconds over whose mean a square that follows a face is smoothed."""

Part = tuple[float, float]
"""Seconds of the first and last picture of a part."""
Sighting = tuple[float, FaceRectangle]
"""Seconds at which a face is detected, and its hull."""


@dataclass(frozen=True)
class Track:
    """A clip's frames and the square that holds the face in all of them.

    Attributes:
      times: seconds of every frame on the file's clock.
      hulls: center x, center y and side of the face's hull in every frame, in pixels.
      parts: parts of the clip that show the face throughout, in order.
      zoom: how many times tighter than published the face is framed.
      is_cropped: the pictures are crops already, and are used whole.
    """

    times: Float64[np.ndarray, " frames"]
    hulls: Float64[np.ndarray, "frames 3"]
    parts: tuple[Part, ...]
    zoom: float = 1.0
    is_cropped: bool = False

    @property
    def rectangle(self) -> FaceRectangle:
        """The square that holds the face in all frames, framed as published."""
        return self.square()

    def square(
        self, scale: float = CLIP_SCALE, vx: float = 0.0, vy: float = CLIP_SHIFT
    ) -> FaceRectangle:
        """Return the one square that holds the face in all frames; see
        `clip_rectangle`."""
        return self._frame(self.hulls, scale, vx, vy)

    def squares(
        self, scale: float = CLIP_SCALE, vx: float = 0.0, vy: float = CLIP_SHIFT
    ) -> list[FaceRectangle]:
        """Return a square for each frame, which follows the face."""
        return [self._frame(hull[None], scale, vx, vy) for hull in self.hulls]

    def _frame(
        self, hulls: Float64[np.ndarray, "n 3"], scale: float, vx: float, vy: float
    ) -> FaceRectangle:
        rectangles = []
        for x, y, size in hulls.tolist():
            rectangles.append(FaceRectangle((x, y), size))
        if self.is_cropped:
            return frame_face(rectangles[0], upright=False)
        return clip_rectangle(rectangles, scale / self.zoom, vx, vy)

    @property
    def longest_part(self) -> Part:
        return max(self.parts, key=_seconds)

    @property
    def absences(self) -> str:
        """A line that says when the face is out of sight; empty if it never is."""
        return _absences(self.times, self.parts)

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
    *,
    walks: bool = False,
) -> Track:
    """Follow the face that is largest at first.

    It is detected five times a second and interpolated between. A run of more than
    `LONGEST_ABSENCE` without it ends a part.

    Args:
      frames: times in seconds and RGB pictures, in order.
      detector: finds faces in a picture.
      zoom: how many times tighter than published to frame the face.
      walks: the face may leave its place, as long as it moves steadily; its hulls are
        smoothed.

    Raises:
      NoFaceError: fewer than half of the looks find the face.

    Source: LivePortrait frames a driving video by the mean of its faces' squares: scale
    2.2, vy -0.1, not turned.
    """
    looks = look_for_faces(frames, detector)
    return track_looks(looks, detector, zoom, walks=walks)


def track_looks(
    looks: Looks, detector: Detector, zoom: float = 1.0, *, walks: bool = False
) -> Track:
    """Follow the face that is largest at first through detections; see `track_face`.

    Raises:
      NoFaceError: fewer than half of the looks find the face.
    """
    clock = looks.times
    sightings: list[Sighting] = []
    for seconds, faces in zip(looks.seconds, looks.faces, strict=True):
        if faces:
            face = _choose_face(faces, sightings[-RECENT_LOOKS if walks else 0 :])
            sightings.append((seconds, face.hull))
    steady = _without_strays(sightings, walks)
    parts = _parts(clock, [seconds for seconds, _ in steady])
    count = len(looks.seconds)
    if not count or len(steady) < LEAST_SIGHTINGS * count:
        absences = f" ({_absences(clock, parts)})" if parts else ""
        raise NoFaceError(
            f"the {detector.name} detector finds a steady face in {len(steady)} of "
            f"{count} looks{absences}: the clip needs one face seen from the "
            "front that stays in place"
        )
    hulls = _interpolate(clock, steady, walks)
    return Track(clock, hulls, parts, zoom, detector.keeps_crop)


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


def _absences(times: Float64[np.ndarray, " frames"], parts: Sequence[Part]) -> str:
    """Return a line about the times that no part covers; empty if there are none."""
    # An absence lies between the end of a part and the start of the next one.
    ends = [times[0], *(stop for _, stop in parts)]
    starts = [*(start for start, _ in parts), times[-1]]
    pairs = zip(ends, starts, strict=True)
    return describe_absences([(end, start) for end, start in pairs if start > end])


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


def _without_strays(sightings: list[Sighting], walks: bool) -> list[Sighting]:
    """Leave out errors of the detector: hulls far from the median or of another
    size."""
    if not sightings:
        return []
    steady = _is_steady(_rows(sightings), walks)
    pairs = zip(sightings, steady, strict=True)
    return [sighting for sighting, keep in pairs if keep]


def _is_steady(
    rows: Float64[np.ndarray, "looks 3"], walks: bool
) -> Bool[np.ndarray, " looks"]:
    # A face that walks is compared with where it was just before and after.
    if walks:
        # SciPy's filters take long to import, and most clips do not use them.
        from scipy.ndimage import median_filter

        middle = median_filter(rows, size=(RECENT_LOOKS, 1), mode="nearest")
    else:
        middle = np.median(rows, axis=0, keepdims=True)
    x, y, size = middle.T
    near = np.hypot(rows[:, 0] - x, rows[:, 1] - y) <= FARTHEST_STRAY * size
    small = rows[:, 2] <= LARGEST_GROWTH * size
    large = rows[:, 2] * LARGEST_GROWTH >= size
    return near & small & large


def _rows(sightings: list[Sighting]) -> Float64[np.ndarray, "looks 3"]:
    """Return center x, center y and side of every hull."""
    return np.array([(*hull.center, hull.size) for _, hull in sightings])


def _interpolate(
    times: Float64[np.ndarray, " frames"], sightings: list[Sighting], walks: bool
) -> Float64[np.ndarray, "frames 3"]:
    """Return the hull in every frame: between two sightings, it moves and grows
    linearly."""
    looks = [seconds for seconds, _ in sightings]
    hulls = interpolate_rows(times, looks, _rows(sightings))
    # A square for the whole clip is a mean anyway.
    if not walks:
        return hulls
    from scipy.ndimage import uniform_filter1d

    # The detector's noise would shake the square.
    frames_a_second = (len(times) - 1) / max(times[-1] - times[0], LOOK_INTERVAL)
    width = max(1, round(SMOOTHING * frames_a_second))
    return uniform_filter1d(hulls, width, axis=0, mode="nearest")
