"""Convert phonemes to shapes of the mouth that glide into each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from train.synthetic.curves import smoothstep
from train.synthetic.speech import Phoneme

PARAMETERS = ("jaw", "width", "rounding", "closure", "tongue")


@dataclass(frozen=True)
class Viseme:
    """Shape of the mouth for a group of sounds.

    Attributes:
      name: name of the group.
      sounds: letters of the IPA.
      target: jaw, width, rounding, closure, tongue.
      weight: strength against its neighbours.
    """

    name: str
    sounds: str
    target: tuple[float, float, float, float, float]
    weight: float = 1.0


# ruff: noqa: RUF001 - letters of the IPA are meant
VISEMES = (
    #      name    sounds      jaw   width  round  close  tongue weight
    Viseme("rest", "",        (0.00, 0.00, 0.00, 0.0, 0.0), 0.8),
    Viseme("p",    "pbm",     (0.12, 0.05, 0.00, 1.0, 0.0), 0.9),
    Viseme("f",    "fv",      (0.14, 0.15, 0.00, 0.6, 0.0), 1.1),
    Viseme("th",   "θð",      (0.22, 0.15, 0.00, 0.0, 1.0), 0.7),
    Viseme("t",    "tdnlɾɫ",  (0.22, 0.15, 0.00, 0.0, 0.8), 0.6),
    Viseme("s",    "sz",      (0.12, 0.40, 0.00, 0.0, 0.3), 1.0),
    Viseme("sh",   "ʃʒ",      (0.18, 0.00, 0.60, 0.0, 0.2), 1.1),
    Viseme("k",    "kɡgŋx",   (0.27, 0.10, 0.00, 0.0, 0.0), 0.5),
    Viseme("r",    "ɹrɻ",     (0.22, 0.00, 0.40, 0.0, 0.2), 0.7),
    Viseme("w",    "wʍ",      (0.16, 0.00, 1.00, 0.0, 0.0), 1.2),
    Viseme("y",    "j",       (0.20, 0.50, 0.00, 0.0, 0.2), 0.7),
    Viseme("h",    "hʔ",      (0.32, 0.05, 0.00, 0.0, 0.0), 0.3),
    Viseme("i",    "iɪᵻ",     (0.26, 0.70, 0.00, 0.0, 0.1), 1.0),
    Viseme("e",    "eɛ",      (0.46, 0.50, 0.00, 0.0, 0.0), 1.1),
    Viseme("a",    "æaɑ",     (0.95, 0.25, 0.00, 0.0, 0.0), 1.2),
    Viseme("uh",   "ʌɐə",     (0.46, 0.10, 0.05, 0.0, 0.0), 0.8),
    Viseme("er",   "ɜɚɝ",     (0.36, 0.00, 0.30, 0.0, 0.1), 0.9),
    Viseme("o",    "ɔɒo",     (0.66, 0.00, 0.75, 0.0, 0.0), 1.2),
    Viseme("u",    "uʊ",      (0.24, 0.00, 0.95, 0.0, 0.0), 1.1),
)  # fmt: skip
REST, LIPS = VISEMES[0], VISEMES[1]
BY_SOUND = {sound: viseme for viseme in VISEMES for sound in viseme.sounds}

REACH = np.array([0.04, 0.055, 0.07, 0.035, 0.04])
"""Seconds over which each parameter gives way to its neighbours.

The lips round early and late; the tongue is quick.
"""
DEEPEST = 0.06
"""Seconds into a sound after which its pull does not grow."""
LIPS_FIRMNESS = 0.45
"""Factor of the weight of p, b and m, which leave the rest of the mouth to neighbours."""
UNVOICED_CLOSURE = 0.065
"""Seconds that the lips are shut before a p: espeak-ng times it by its burst."""
BURST = 0.015
"""Seconds before its end at which a b or m opens."""
SHORTEST_CLOSURE = 0.04
"""Seconds, more than a frame, so that one frame always shows it."""
CLOSING = 0.045
"""Seconds that the lips take to shut and to part."""


@dataclass(frozen=True)
class Segment:
    """A viseme in time, in seconds."""

    viseme: Viseme
    start: float
    end: float


def segments_of(phonemes: Sequence[Phoneme]) -> list[Segment]:
    """Return the visemes of phonemes.

    The sounds of a phoneme, such as a diphthong, share its time.
    """
    segments = []
    for phoneme in phonemes:
        visemes = _visemes_of(phoneme.name)
        bounds = np.linspace(phoneme.start, phoneme.end, len(visemes) + 1).tolist()
        for viseme, (start, end) in zip(visemes, pairwise(bounds), strict=True):
            segments.append(Segment(viseme, start, end))
    return segments


def _visemes_of(name: str) -> list[Viseme]:
    """Return the visemes of a phoneme; a pause rests."""
    visemes = [BY_SOUND[sound] for sound in name if sound in BY_SOUND]
    if not visemes:
        return [REST]
    # The t of an affricate such as "ch" does not show.
    if [viseme.name for viseme in visemes] == ["t", "sh"]:
        return visemes[1:]
    return visemes


def closures_of(phonemes: Sequence[Phoneme]) -> list[tuple[float, float]]:
    """Return the spans in which the lips are shut for p, b and m, in seconds.

    A p is shut before its burst, an m throughout, a b until its burst near the end.
    """
    spans = []
    for phoneme in phonemes:
        if phoneme.name.startswith("p"):
            spans.append((phoneme.start - UNVOICED_CLOSURE, phoneme.start))
        elif phoneme.name.startswith(("b", "m")):
            shortest = phoneme.start + SHORTEST_CLOSURE
            spans.append((phoneme.start, max(phoneme.end - BURST, shortest)))
    return spans


def mouth_track(
    phonemes: Sequence[Phoneme], times: Float[np.ndarray, " f"], effort: float = 1.0
) -> Float[np.ndarray, "f 5"]:
    """Return mouth parameters at some times, in the order of `PARAMETERS`.

    Every segment pulls towards its target, the less the farther it is in time; p, b and
    m shut the lips whatever stands beside them.

    Args:
      phonemes: phonemes of the whole clip.
      times: times of the frames, in seconds.
      effort: extent of the motion, 1 for plain speech.

    Source: dominance functions, Cohen and Massaro 1993.
    """
    segments = segments_of(phonemes)
    targets = np.array([segment.viseme.target for segment in segments])
    weights = np.array([segment.viseme.weight for segment in segments])
    is_lips = np.array([segment.viseme is LIPS for segment in segments])
    distance = _distances(segments, times)
    firmness = weights * np.where(is_lips, LIPS_FIRMNESS, 1.0)
    # p, b and m are shut by their closures instead, whose times are exact.
    closure = PARAMETERS.index("closure")
    targets[:, closure] *= np.where(is_lips, 0.0, 1.0)
    track = np.empty((len(times), len(PARAMETERS)))
    for column, reach in enumerate(REACH):
        # The weighted mean of all targets.
        pull = firmness[:, None] * np.exp(-distance / reach)
        pulled = pull * targets[:, column][:, None]
        track[:, column] = pulled.sum(axis=0) / pull.sum(axis=0)
    # Effort counts for jaw, width and rounding.
    track[:, :3] *= effort
    shut = _shut(closures_of(phonemes), times)
    track[:, closure] = np.maximum(track[:, closure], shut)
    return track.clip([0, -1, 0, 0, 0], 1)


def _distances(
    segments: Sequence[Segment], times: Float[np.ndarray, " f"]
) -> Float[np.ndarray, "s f"]:
    """Return the seconds from each segment to each time; inside they are negative.

    The middle of a sound counts as the farthest inside.
    """
    start = np.array([segment.start for segment in segments])[:, None]
    end = np.array([segment.end for segment in segments])[:, None]
    outside = np.maximum(np.maximum(start - times, times - end), 0)
    depth = np.minimum(times - start, end - times).clip(0, DEEPEST)
    return outside - depth


def _shut(
    closures: Sequence[tuple[float, float]], times: Float[np.ndarray, " f"]
) -> Float[np.ndarray, " f"]:
    """Return the closure of the lips at some times, 0 to 1."""
    shut = np.zeros(len(times))
    for start, end in closures:
        closing = smoothstep(start - CLOSING, start, times)
        parting = smoothstep(end, end + CLOSING, times)
        shut = np.maximum(shut, closing * (1 - parting))
    return shut
