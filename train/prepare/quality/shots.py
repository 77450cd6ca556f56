"""Shots of a clip: parts between cuts, each with a face that is framed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, NoFaceError
from jaxportrait.media.looks import Looks
from jaxportrait.media.track import Part, Track, track_looks
from train.prepare.quality.pictures import differences, is_black

NEIGHBOURS = 2
"""Pictures on each side of a cut that change much less than it does."""
CUT_RATIO = 3.5
"""Change at a cut over the largest change of its neighbours. In seven real videos
without cuts, hands and heads that start to move reach 2.2."""
LEAST_CHANGE = 4.0
"""Levels of 255 below which a change is no cut, whatever its neighbours."""

LEAST_ABSENCE = 0.25
"""Seconds without the face that a remark names."""


@dataclass(frozen=True)
class CutLimits:
    """Changes between two pictures that count as a cut.

    Attributes:
      scene: mean difference of the pictures, in levels of 0 to 255.
      zoom: ratio of the sizes of the face on both sides.
      jump: distance of the face on both sides, in sizes of the face.
    """

    scene: float
    zoom: float
    jump: float


@dataclass(frozen=True)
class Cut:
    """A cut in a clip.

    Attributes:
      picture: number of the first picture after it.
      seconds: time of that picture.
      kind: a phrase for the user.
    """

    picture: int
    seconds: float
    kind: str


@dataclass(frozen=True)
class Shot:
    """A part of a clip between two cuts.

    Attributes:
      start, stop: numbers of its pictures.
      track: its face.
    """

    start: int
    stop: int
    track: Track

    @property
    def seconds(self) -> float:
        """Seconds of the parts that show the face."""
        return sum(stop - start for start, stop in self.track.parts)


def find_cuts(
    looks: Looks, signatures: UInt8[np.ndarray, "n s s 3"], limits: CutLimits
) -> list[Cut]:
    """Return the cuts of a clip, and the borders of its black parts, in order."""
    changes = differences(signatures)
    black = is_black(signatures)
    cuts = []
    for picture in np.flatnonzero(_stands_out(changes)).tolist():
        seconds = float(looks.times[picture])
        kind = _kind(looks, seconds, changes[picture], limits)
        if kind:
            cuts.append(Cut(picture, seconds, kind))
    # np.diff of booleans is true where they change
    for picture in (np.flatnonzero(np.diff(black)) + 1).tolist():
        kind = "black" if black[picture] else "end of black"
        cuts.append(Cut(picture, float(looks.times[picture]), kind))
    # a cut to black is one cut
    unique = {cut.picture: cut for cut in cuts}
    return [unique[picture] for picture in sorted(unique)]


def _stands_out(changes: Float64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Return which pictures change far more than those before and after them."""
    # nothing changes beyond the ends
    padded = np.pad(changes, NEIGHBOURS)
    shifts = [*range(NEIGHBOURS), *range(NEIGHBOURS + 1, 2 * NEIGHBOURS + 1)]
    around = [padded[shift : shift + len(changes)] for shift in shifts]
    # a floor, so that noise in a still scene is no cut
    largest = np.maximum(np.max(around, axis=0), LEAST_CHANGE / CUT_RATIO)
    return changes >= CUT_RATIO * largest


def _kind(looks: Looks, seconds: float, change: float, limits: CutLimits) -> str:
    """Return the kind of a change that stands out; empty where it is none of them."""
    if change >= limits.scene:
        return "scene cut"
    before, after = _faces_around(looks, seconds)
    if before is None or after is None:
        return ""
    growth = after.size / before.size
    if max(growth, 1 / growth) >= limits.zoom:
        return f"zoom by {growth:.2f}"
    distance = np.hypot(*np.subtract(after.center, before.center))
    is_jump = distance >= limits.jump * before.size
    return "jump of the face" if is_jump else ""


def _faces_around(
    looks: Looks, seconds: float
) -> tuple[FaceRectangle | None, FaceRectangle | None]:
    """Return the largest faces of the last look before a time and the first one after
    it; None where a look finds no face."""
    before = after = None
    for time, faces in zip(looks.seconds, looks.faces, strict=True):
        hull = max(faces, key=lambda face: face.area).hull if faces else None
        if time < seconds:
            before = hull
        else:
            after = hull
            break
    return before, after


def find_shots(
    looks: Looks,
    cuts: Sequence[Cut],
    black: Bool[np.ndarray, " n"],
    detector: Detector,
    zoom: float = 1.0,
) -> list[Shot]:
    """Return the shots of a clip in which the face is followed, in order.

    Args:
      looks: detections in the whole clip.
      cuts: cuts between its pictures.
      black: pictures that are black; their shots show no face.
      detector: detector of the looks.
      zoom: how many times tighter than published to frame the face.

    Raises:
      NoFaceError: no shot shows a steady face.
    """
    borders = [0, *(cut.picture for cut in cuts), len(looks.times)]
    shots = []
    for start, stop in pairwise(borders):
        if black[start]:
            continue
        try:
            track = track_looks(looks.part(start, stop), detector, zoom)
        except NoFaceError:
            continue
        shots.append(Shot(start, stop, track))
    if shots:
        return shots
    # the message is that of the whole clip
    track_looks(looks, detector, zoom)
    raise NoFaceError("no part between two cuts shows a steady face")


def longest_shot(shots: Sequence[Shot]) -> Shot:
    """Return the shot that shows the face longest."""
    return max(shots, key=lambda shot: shot.seconds)


def joined_shots(shots: Sequence[Shot]) -> list[Shot]:
    """Return the longest shot, and those that are parted from it only by pictures
    without a face: a cut from face to face may show another person."""
    groups: list[list[Shot]] = []
    for shot in shots:
        # shots that touch are a cut from face to face
        if groups and shot.start > groups[-1][-1].stop:
            groups[-1].append(shot)
        else:
            groups.append([shot])
    return max(groups, key=lambda group: longest_shot(group).seconds)


def describe_cuts(cuts: Sequence[Cut]) -> str:
    """Return a line about cuts; empty if there are none."""
    places = [f"{cut.kind} at {cut.seconds:.2f} s" for cut in cuts]
    return f"cut at: {', '.join(places)}" if places else ""


def describe_absences(times: Float64[np.ndarray, " n"], parts: Sequence[Part]) -> str:
    """Return a line about the times that no part covers; empty if there are none.

    Args:
      times: seconds of the clip's pictures.
      parts: parts that show the face, in order.
    """
    # An absence lies between the end of a part and the start of the next one.
    ends = [float(times[0]), *(stop for _, stop in parts)]
    starts = [*(start for start, _ in parts), float(times[-1])]
    ranges = []
    for end, start in zip(ends, starts, strict=True):
        # the parts at a cut are a picture apart
        if start - end > LEAST_ABSENCE:
            ranges.append(f"from {end:.2f} to {start:.2f} s")
    return f"the face is out of sight {', '.join(ranges)}" if ranges else ""


def share_of_crowds(looks: Looks, least_area: float) -> float:
    """Return the share of the looks with several faces.

    Args:
      looks: detections in a clip.
      least_area: smallest area that counts, in areas of the largest face.
    """
    crowds = 0
    for faces in looks.faces:
        areas = [face.area for face in faces]
        # without faces, the maximum is never asked for
        large = [area for area in areas if area >= least_area * max(areas)]
        crowds += len(large) > 1
    return crowds / len(looks.faces)


def seconds_of(parts: Sequence[Part]) -> float:
    """Return the seconds of parts."""
    return sum(stop - start for start, stop in parts)
