"""Pieces of clips, whose sound and lips are compared."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxportrait.motion.space import MOTION_FPS
from train.data.records import ClipRecord
from train.prepare.manifest import Entry
from train.prepare.quality.evidence import Evidence
from train.prepare.quality.lips import LIP_RATE
from train.prepare.quality.regression import Piece, prepare_lips, without_mean
from train.prepare.quality.sound import SPECTRUM_RATE

PIECE_SECONDS = 10
PIECE_READINGS = PIECE_SECONDS * LIP_RATE
LEAST_READINGS = LIP_RATE
"""Readings of the shortest piece: a second, as a clip's part must last."""
GAP_READINGS = 2 * LIP_RATE
"""Readings between two pieces of a clip that may be in different folds."""
PER_READING = SPECTRUM_RATE // LIP_RATE


def cut_pieces(
    entry: Entry,
    record: ClipRecord,
    evidence: Evidence,
    lips: Float[np.ndarray, "n k"],
    *,
    apart: bool,
) -> list[Piece]:
    """Return the pieces of a clip's spans, of about ten seconds.

    Args:
      entry: the clip's spans.
      record: its audio features.
      evidence: its spectrum.
      lips: curves of its lips, 25 a second.
      apart: pieces keep a distance of two seconds.
    """
    assert evidence.spectrum is not None
    features = _by_reading(record.features)
    # in readings; the three sources round their ends differently
    end = min(len(lips), len(features), len(evidence.spectrum) // PER_READING)
    pieces = []
    for start, stop in _borders(entry, record.frames, end, apart=apart):
        spectra = slice(start * PER_READING, stop * PER_READING)
        piece = Piece(
            entry.clip,
            entry.subject,
            prepare_lips(lips[start:stop]),
            without_mean(features[start:stop]),
            without_mean(evidence.spectrum[spectra]),
        )
        pieces.append(piece)
    return pieces


def _by_reading(features: Float[np.ndarray, "n width"]) -> Float[np.ndarray, "m width"]:
    """Return means of neighbouring features: 25 a second of 50."""
    count = len(features) // PER_READING
    pairs = features[: count * PER_READING].astype(np.float32)
    # 2m width -> m 2 width -> m width
    return pairs.reshape(count, PER_READING, -1).mean(axis=1)


def _borders(
    entry: Entry, frames: int, end: int, *, apart: bool
) -> list[tuple[int, int]]:
    """Return the first and the last reading of every piece."""
    borders = []
    for first, last in entry.spans or ((0, frames),):
        # rounded inwards: readings lie within the span's frames
        start = -(-first * LIP_RATE // MOTION_FPS)
        stop = min(end, last * LIP_RATE // MOTION_FPS)
        count = max(1, round((stop - start) / PIECE_READINGS))
        marks = np.linspace(start, stop, count + 1).astype(int).tolist()
        for piece in range(count):
            # the first piece has no neighbour before it
            gap = GAP_READINGS if apart and piece else 0
            borders.append((marks[piece] + gap, marks[piece + 1]))
    return [(start, stop) for start, stop in borders if stop - start >= LEAST_READINGS]


def lips_of_motion(
    opening: Float[np.ndarray, " frames"],
) -> Float[np.ndarray, "n 1"]:
    """Return the opening of the lips at 30 frames a second, 25 a second."""
    count = len(opening) * LIP_RATE // MOTION_FPS
    # places of the readings, in frames
    frames = np.arange(count) * (MOTION_FPS / LIP_RATE)
    return np.interp(frames, np.arange(len(opening)), opening)[:, None]


def total_minutes(pieces: Sequence[Piece]) -> float:
    """Return the minutes of pieces."""
    return sum(len(piece.lips) for piece in pieces) / LIP_RATE / 60
