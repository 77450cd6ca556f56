"""Division of clips into train and validation: by subject, or by time if there is only
one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from train.data.shards import SPLITS, Split
from train.prepare.manifest import Entry

HELD_OUT = 0.1


@dataclass(frozen=True)
class Piece:
    """Frames `start` to `stop` of a clip's record, in a split."""

    clip: str
    split: Split
    start: int
    stop: int

    @property
    def frames(self) -> int:
        return self.stop - self.start


def split_clips(
    entries: Sequence[Entry], least: int, step: int, most: int | None = None
) -> list[Piece]:
    """Divide clips into train and validation; the same clips are always divided alike.

    A tenth of several subjects, at least one, is held out whole: those whose names have
    the least hashes, so that a subject keeps its split when a few others are added. Of
    a single subject the last tenth of the time is held out, in every emotion and level.

    Args:
      entries: manifest entries of the usable clips.
      least: shortest piece in frames.
      step: clips are cut at multiples of it.
      most: longest piece that trains, or None; a longer one is cut into equal parts.
    """
    # A subject by itself cannot be held out whole.
    subjects = sorted({entry.subject for entry in entries}, key=_rank)
    if len(subjects) == 1:
        pieces = _split_subject(entries, least, step)
    else:
        count = max(1, round(HELD_OUT * len(subjects)))
        pieces = _split_by_subject(entries, set(subjects[:count]))
    parts = [part for piece in pieces for part in _cut_up(piece, step, most)]
    return sorted(parts, key=_position)


def pieces_of(pieces: Sequence[Piece], split: Split) -> list[Piece]:
    """Return the pieces of a split, in order."""
    return [piece for piece in pieces if piece.split == split]


def _position(piece: Piece) -> tuple[int, str, int]:
    return SPLITS.index(piece.split), piece.clip, piece.start


def _rank(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()


def _split_by_subject(entries: Sequence[Entry], held_out: set[str]) -> list[Piece]:
    pieces = []
    for entry in entries:
        split: Split = "validation" if entry.subject in held_out else "train"
        pieces.append(Piece(entry.clip, split, 0, entry.frames))
    return pieces


def _cut_up(piece: Piece, step: int, most: int | None) -> list[Piece]:
    """Cut a piece into parts of about equal length, none longer than `most`; a piece
    that validates stays whole."""
    if most is None or piece.split != "train":
        return [piece]
    # The number of parts, rounded up, and borders at multiples of `step`.
    parts = -(-piece.frames // most)
    borders = [piece.frames * part // (parts * step) * step for part in range(parts)]
    starts = [piece.start + border for border in borders]
    return [
        replace(piece, start=start, stop=stop)
        for start, stop in pairwise([*starts, piece.stop])
    ]


def _split_subject(entries: Sequence[Entry], least: int, step: int) -> list[Piece]:
    def emotion(entry: Entry) -> tuple[str, int]:
        return entry.emotion, entry.level

    # `groupby` joins neighbours only
    ordered = sorted(entries, key=lambda entry: (*emotion(entry), entry.clip))
    pieces = []
    for _, group in groupby(ordered, emotion):
        pieces += _split_by_time(list(group), least, step)
    return pieces


def _split_by_time(entries: Sequence[Entry], least: int, step: int) -> list[Piece]:
    """Hold out the last frames of the clips, one clip after the other."""
    pieces = []
    total = sum(entry.frames for entry in entries)
    # Frames still to hold out.
    missing = max(least, round(HELD_OUT * total))
    # the last clips of the group come first
    for entry in reversed(entries):
        border = entry.frames
        if missing > 0:
            target = max(missing, least)
            border = _border(entry.frames, target, least, step, only=len(entries) == 1)
        missing -= entry.frames - border
        if border > 0:
            pieces.append(Piece(entry.clip, "train", 0, border))
        if border < entry.frames:
            pieces.append(Piece(entry.clip, "validation", border, entry.frames))
    return pieces


def _border(frames: int, target: int, least: int, step: int, *, only: bool) -> int:
    """Return where to cut a clip so that about `target` of its last frames are held out
    and neither piece is too short.

    A clip that is too short for two pieces is held out whole, unless it is the only one
    to train on.
    """
    if frames < 2 * least:
        return frames if only else 0
    # Rounded down: at least `target` frames are held out.
    border = (frames - target) // step * step
    return border if border >= least else 0
