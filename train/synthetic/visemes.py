"""From phonemes to the shapes of the mouth, which glide into each other."""

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
    """Where a sound takes the mouth.

    Attributes:
      name: of the group of sounds.
      sounds: letters of the IPA.
      target: jaw, width, rounding, closure, tongue.
      weight: how firmly it holds against its neighbours.
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
"""Seconds over which each parameter gives way to its neighbours; the lips round early
and late, the tongue is quick."""
DEEPEST = 0.06
"""Seconds into a sound after which its pull grows no more."""
UNVOICED_CLOSURE = 0.065
"""Seconds that the lips are shut before a p: espeak-ng times it by its burst."""
SHORTEST_CLOSURE = 0.04  # seconds, more than a frame, so that one always shows it
CLOSING = 0.045  # seconds that the lips take to shut and to part


@dataclass(frozen=True)
class Segment:
    """A viseme in time, in seconds."""

    viseme: Viseme
    start: float
    end: float


def segments_of(phonemes: Sequence[Phoneme]) -> list[Segment]:
    """Visemes of phonemes; those of several sounds, such as diphthongs, share their
    time."""
    segments = []
    for phoneme in phonemes:
        visemes = [BY_SOUND[sound] for sound in phoneme.name if sound in BY_SOUND] or [
            REST
        ]
        if [each.name for each in visemes] == ["t", "sh"]:
            visemes = visemes[1:]
        bounds = np.linspace(phoneme.start, phoneme.end, len(visemes) + 1).tolist()
        segments += [
            Segment(viseme, *span)
            for viseme, span in zip(visemes, pairwise(bounds), strict=True)
        ]
    return segments


def closures_of(phonemes: Sequence[Phoneme]) -> list[tuple[float, float]]:
    """When the lips are shut for p, b and m, in seconds.

    A p is shut before its burst, m all through, b until its burst near the end.
    """
    spans = []
    for phoneme in phonemes:
        if phoneme.name.startswith("p"):
            spans.append((phoneme.start - UNVOICED_CLOSURE, phoneme.start))
        elif phoneme.name.startswith(("b", "m")):
            spans.append(
                (
                    phoneme.start,
                    max(phoneme.end - 0.015, phoneme.start + SHORTEST_CLOSURE),
                )
            )
    return spans


def mouth_track(
    phonemes: Sequence[Phoneme], times: Float[np.ndarray, " f"], effort: float = 1.0
) -> Float[np.ndarray, "f 5"]:
    """Mouth parameters at some times, in the order of PARAMETERS.

    Every segment pulls towards its target, the less the farther it is in time; p, b and
    m shut the lips whatever stands beside them.

    Args:
      effort: how far the mouth moves, 1 for plain speech.

    Source: dominance functions, Cohen and Massaro 1993.
    """
    segments = segments_of(phonemes)
    start, end = (
        np.array([getattr(each, name) for each in segments])[:, None]
        for name in ("start", "end")
    )
    outside = np.maximum(np.maximum(start - times, times - end), 0)
    depth = np.minimum(times - start, end - times).clip(
        0, DEEPEST
    )  # the middle of a sound is the most its own
    away = outside - depth
    targets = np.array([each.viseme.target for each in segments])
    weights = np.array([each.viseme.weight for each in segments])
    lips = np.array([each.viseme is LIPS for each in segments])
    track = np.empty((len(times), len(PARAMETERS)))
    for column, (name, reach) in enumerate(zip(PARAMETERS, REACH, strict=True)):
        firm = weights * np.where(
            lips, 0.45, 1.0
        )  # what only shuts the lips leaves the rest to its neighbours
        pull = firm[:, None] * np.exp(-away / reach)
        value = (
            targets[:, column] * np.where(lips, 0.0, 1.0)
            if name == "closure"
            else targets[:, column]
        )
        track[:, column] = (pull * value[:, None]).sum(axis=0) / pull.sum(axis=0)
    track[:, :3] *= effort
    track[:, 3] = np.maximum(track[:, 3], _shut(closures_of(phonemes), times))
    return track.clip([0, -1, 0, 0, 0], 1)


def _shut(
    closures: Sequence[tuple[float, float]], times: Float[np.ndarray, " f"]
) -> Float[np.ndarray, " f"]:
    shut = np.zeros(len(times))
    for start, end in closures:
        ramp = smoothstep(start - CLOSING, start, times) * (
            1 - smoothstep(end, end + CLOSING, times)
        )
        shut = np.maximum(shut, ramp)
    return shut
