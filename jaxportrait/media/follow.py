"""Follow a face through a source video, frame by frame, shot by shot."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8
from scipy.ndimage import gaussian_filter1d

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, NoFaceError, choose_face
from jaxportrait.media.looks import (
    FARTHEST_STRAY,
    LARGEST_GROWTH,
    LONGEST_ABSENCE,
    LOOK_INTERVAL,
    ROUNDING,
    describe_absences,
)
from jaxportrait.ops.curves import interpolate_rows

CUT_CHANGE = 32.0
"""Mean change of the brightness of a reduced frame, of 255, that is a cut. Heads and
cameras change some 5 levels from frame to frame."""
CUT_SIDE = 32
"""Side in pixels to which frames are reduced, to find cuts."""
STEADY_SECONDS = 0.1
"""Deviation of the gaussian by which the detector's jitter is smoothed, in seconds."""
OUT_OF_SIGHT = -1
"""Shot of a frame without a face."""


@dataclass(frozen=True)
class FacePath:
    """The way of a face through a video.

    Attributes:
      times: seconds of every frame on the file's clock.
      squares: the face's hull in every frame: center x, center y, side, angle.
      shots: number of every frame's shot, which ends at a cut or where the face is lost;
        `OUT_OF_SIGHT` where there is no face.
      openness: openness of the left eye, the right eye and the lips, where every frame
        was looked at and the detector tells it.
      passed_over: number of faces in the first look that were not chosen.
      doubt: a line for a user where the detector is not sure of the face.
    """

    times: Float64[np.ndarray, " frames"]
    squares: Float64[np.ndarray, "frames 4"]
    shots: Int[np.ndarray, " frames"]
    openness: Float64[np.ndarray, "frames 3"] | None
    passed_over: int
    doubt: str | None

    @property
    def shown(self) -> Bool[np.ndarray, " frames"]:
        return self.shots != OUT_OF_SIGHT

    @property
    def seconds(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.times[-1] - self.times[0])

    def hull(self, frame: int) -> FaceRectangle:
        x, y, size, angle = self.squares[frame].tolist()
        return FaceRectangle((x, y), size, angle)

    @property
    def absences(self) -> str:
        """A line that says when the face is out of sight; empty if it never is."""
        # The first frame after each change.
        edges = np.flatnonzero(np.diff(self.shown)) + 1
        ranges = []
        for first, last in pairwise([0, *edges.tolist(), len(self.times)]):
            if not self.shown[first]:
                start, stop = self.times[[first, last - 1]] - self.times[0]
                ranges.append((start, stop))
        return describe_absences(ranges)


@dataclass
class _Shot:
    """Frames between two cuts, and the face where it was seen."""

    first: int
    looks: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, frame: int, seconds: float, face: Face) -> None:
        self.frames.append(frame)
        self.seconds.append(seconds)
        self.faces.append(face)

    def choose(self, faces: Sequence[Face], seconds: float) -> Face | None:
        """Return the face that was followed so far; the largest in a new place once it
        is lost; None where only others are seen."""
        if not faces:
            return None
        if not self.faces or seconds - self.seconds[-1] > LONGEST_ABSENCE + ROUNDING:
            # They come largest first.
            return faces[0]
        last = self.faces[-1].hull
        near = [face for face in faces if _is_near(face.hull, last)]
        return min(near, key=lambda face: _distance(face.hull, last), default=None)


def follow_face(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]],
    detector: Detector,
    *,
    face: int | None = None,
    every_frame: bool = False,
) -> FacePath:
    """Follow one face through a video.

    It is looked for five times a second, and after every cut. Between two looks its
    hull moves, turns and grows evenly. Frames are not kept.

    Args:
      frames: times in seconds and RGB pictures, in order.
      detector: finds faces in a picture.
      face: number of the face in the first look that finds one, 0 the largest; by
        default that. After a cut it is the largest.
      every_frame: look at every frame, for the openness of eyes and lips.

    Raises:
      NoFaceError: no look finds a face.
      ValueError: there is no face of this number.
    """
    interval = 0.0 if every_frame else LOOK_INTERVAL
    times: list[float] = []
    shots: list[_Shot] = []
    passed_over = 0
    for seconds, picture, is_cut in _mark_cuts(frames):
        frame = len(times)
        times.append(seconds)
        if is_cut:
            shots.append(_Shot(frame))
        shot = shots[-1]
        if shot.looks and seconds - shot.looks[-1] < interval - ROUNDING:
            continue
        shot.looks.append(seconds)
        faces = sorted(detector.find(picture), key=_area, reverse=True)
        chosen = shot.choose(faces, seconds)
        is_first = not any(before.faces for before in shots)
        # Only here does the caller's number count.
        if chosen is not None and is_first:
            chosen = choose_face(faces, face)
            passed_over = len(faces) - 1
        if chosen is not None:
            shot.add(frame, seconds, chosen)
    return _join(np.array(times), shots, detector, passed_over, every_frame)


def _mark_cuts(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]],
) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"], bool]]:
    """Yield times, pictures, and whether a shot begins with them."""
    before = None
    for seconds, picture in frames:
        small = cv2.resize(
            picture, (CUT_SIDE, CUT_SIDE), interpolation=cv2.INTER_AREA
        ).astype(np.float32)
        # The first frame starts a shot, so that there always is one.
        is_cut = before is None or np.abs(small - before).mean() > CUT_CHANGE
        yield seconds, picture, bool(is_cut)
        before = small


def _join(
    times: Float64[np.ndarray, " frames"],
    shots: list[_Shot],
    detector: Detector,
    passed_over: int,
    every_frame: bool,
) -> FacePath:
    """Return the path through all shots."""
    parts = _find_parts(times, shots)
    if not parts:
        looks = sum(len(shot.looks) for shot in shots)
        raise NoFaceError(
            f"the {detector.name} detector finds no face in {looks} looks at the video: "
            "use a video with a larger face seen from the front"
        )
    squares = np.zeros((len(times), 4))
    openness = np.zeros((len(times), 3))
    numbers = np.full(len(times), OUT_OF_SIGHT)
    is_told = every_frame
    for number, part in enumerate(parts):
        moments = times[part.frames]
        numbers[part.frames] = number
        squares[part.frames] = _follow_hull(moments, part)
        rows = [face.openness.row for face in part.faces if face.openness is not None]
        # One sighting without openness leaves the whole video without it.
        is_told &= len(rows) == len(part.faces)
        if is_told:
            values = np.concatenate(rows)
            openness[part.frames] = interpolate_rows(moments, part.looks, values)
    return FacePath(
        times,
        squares,
        numbers,
        openness if is_told else None,
        passed_over,
        parts[0].faces[0].doubt,
    )


@dataclass(frozen=True)
class _Part:
    """A part of a shot that shows the face throughout.

    Attributes:
      frames: its frames.
      looks: seconds at which the face is seen.
      faces: the face at these times.
    """

    frames: slice
    looks: Float64[np.ndarray, " looks"]
    faces: list[Face]


def _find_parts(
    times: Float64[np.ndarray, " frames"], shots: list[_Shot]
) -> list[_Part]:
    """Split shots where the face is lost for longer than `LONGEST_ABSENCE`."""
    parts = []
    firsts = [shot.first for shot in shots]
    for shot, stop in zip(shots, [*firsts[1:], len(times)], strict=True):
        seconds = np.array(shot.seconds)
        gaps = np.flatnonzero(np.diff(seconds) > LONGEST_ABSENCE + ROUNDING) + 1
        for first, last in pairwise([0, *gaps.tolist(), len(seconds)]):
            looks = seconds[first:last]
            # A single sighting among many looks is an error of the detector.
            is_error = len(looks) == 1 and len(shot.looks) > 2
            if len(looks) == 0 or is_error:
                continue
            frames = _span(times, looks, shot.first, stop)
            parts.append(_Part(frames, looks, shot.faces[first:last]))
    return parts


def _span(
    times: Float64[np.ndarray, " frames"],
    looks: Float64[np.ndarray, " looks"],
    first: int,
    stop: int,
) -> slice:
    """Return the frames of a part; those near the ends of its shot belong to it."""
    start = int(np.searchsorted(times, looks[0] - ROUNDING))
    end = int(np.searchsorted(times, looks[-1] + ROUNDING))
    if looks[0] - times[first] <= LONGEST_ABSENCE:
        start = first
    if times[stop - 1] - looks[-1] <= LONGEST_ABSENCE:
        end = stop
    return slice(start, end)


def _follow_hull(
    moments: Float64[np.ndarray, " frames"], part: _Part
) -> Float64[np.ndarray, "frames 4"]:
    """Return the hull at these moments, without the detector's jitter."""
    rows = []
    for face in part.faces:
        rows.append((*face.hull.center, face.hull.size, face.hull.angle))
    hulls = np.array(rows)
    # An angle is continued past half a turn.
    hulls[:, 3] = np.unwrap(hulls[:, 3])
    squares = interpolate_rows(moments, part.looks, hulls)
    step = (moments[-1] - moments[0]) / max(1, len(moments) - 1)
    # A single frame has no rate, and nothing to smooth.
    if step <= 0:
        return squares
    deviation = STEADY_SECONDS / step
    return gaussian_filter1d(squares, deviation, axis=0, mode="nearest")


def _is_near(hull: FaceRectangle, last: FaceRectangle) -> bool:
    """Return whether a hull may be that of the same face at the last look."""
    # Faces come closer and move away: either ratio may be the larger.
    growth = max(hull.size / last.size, last.size / hull.size)
    return growth <= LARGEST_GROWTH and _distance(hull, last) <= FARTHEST_STRAY


def _distance(hull: FaceRectangle, last: FaceRectangle) -> float:
    """Return the distance of two hulls, in sides of the last one."""
    across, down = np.subtract(hull.center, last.center)
    return float(np.hypot(across, down)) / last.size


def _area(face: Face) -> float:
    return face.area
