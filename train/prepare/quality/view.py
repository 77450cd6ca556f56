"""A first pass over a clip: its shots and faces, and what its pictures tell."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64

from jaxportrait.media.demux import open_media
from jaxportrait.media.faces import Detector
from jaxportrait.media.looks import look_for_faces
from jaxportrait.media.track import Part
from jaxportrait.media.video import VideoReader, picture_stream
from train.prepare.quality.pictures import PictureWatch, content_checksum, is_black
from train.prepare.quality.shots import (
    CutLimits,
    Shot,
    describe_absences,
    describe_cuts,
    find_cuts,
    find_shots,
    share_of_crowds,
)

CERTAIN_DETECTORS = ("insightface", "mesh", "yunet")
"""Detectors that seldom see faces where there are none, so that a second one counts."""
LEAST_AREA = 0.25
"""Area of a second person's face, in areas of the largest."""


class Notes(Protocol):
    """Notes about a clip: columns of the manifest, and lines about flaws."""

    def note(self, **columns: Any) -> None: ...
    def remark(self, flaw: str) -> None: ...


@dataclass(frozen=True)
class View:
    """Shots of a clip.

    Attributes:
      times: seconds of every picture.
      shots: shots that show a face, in order.
      absences: a line that says when no face is in sight; empty if one always is.
    """

    times: Float64[np.ndarray, " pictures"]
    shots: list[Shot]
    absences: str


def view(
    video: VideoReader, detector: Detector, zoom: float, limits: CutLimits, notes: Notes
) -> View:
    """Find the shots of a clip that show a face.

    Args:
      video: the clip's pictures, which are decoded once.
      detector: finds the faces.
      zoom: how many times tighter than published to frame the face.
      limits: changes that count as cuts.
      notes: notes about the clip.

    Raises:
      NoFaceError: there is no steady face.
    """
    watch = PictureWatch(video)
    looks = look_for_faces(watch, detector)
    signatures = watch.signatures
    black = is_black(signatures)
    notes.note(
        pictures=content_checksum(signatures),
        black=round(float(black.mean()), 4),
        aspect=pixel_aspect(video),
    )
    if detector.name in CERTAIN_DETECTORS:
        notes.note(people=round(share_of_crowds(looks, LEAST_AREA), 4))
    cuts = find_cuts(looks, signatures, limits)
    notes.note(cuts=tuple(round(cut.seconds, 3) for cut in cuts))
    if cuts:
        notes.remark(describe_cuts(cuts))
    shots = find_shots(looks, cuts, black, detector, zoom)
    parts = [part for shot in shots for part in shot.track.parts]
    absences = describe_absences(looks.times, parts)
    if absences:
        notes.remark(absences)
    length = float(looks.times[-1] - looks.times[0])
    seconds = sum(shot.seconds for shot in shots)
    # a single picture has no length
    notes.note(visibility=round(min(1.0, seconds / max(length, 1e-6)), 4))
    return View(looks.times, shots, absences)


def round_parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return parts to milliseconds, for the manifest."""
    return tuple((round(start, 3), round(stop, 3)) for start, stop in parts)


def pixel_aspect(video: VideoReader) -> float:
    """Return the width of a video's pixels over their height; 1 where it is not
    stated."""
    with open_media(video.path) as container:
        ratio = picture_stream(container).sample_aspect_ratio
    # PyAV states an unknown ratio as None or 0.
    return round(float(Fraction(ratio or 1)), 4) if ratio else 1.0
