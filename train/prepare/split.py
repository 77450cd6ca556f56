"""Which frames train, and which validate: by subject, or by time where there is but
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

    Of several subjects a tenth, one at least, is held out whole: those whose names have
    the least hashes, so that a subject keeps its split when few others are added. Of a
    single subject the last tenth of the time is held out, of every emotion and level.

    Args:
      least: frames of a piece.
      step: a clip is cut at a multiple of it.
      most: frames of a piece that trains; a longer one is cut into equal parts, if it
        is given.
    """
    subjects = sorted({entry.subject for entry in entries}, key=_rank)
    if len(subjects) == 1:
        pieces = [
            piece
            for group in _by_emotion(entries)
            for piece in _split_by_time(group, least, step)
        ]
    else:
        held_out = set(subjects[: max(1, round(HELD_OUT * len(subjects)))])
        pieces = [
            Piece(
                entry.clip,
                "validation" if entry.subject in held_out else "train",
                0,
                entry.frames,
            )
            for entry in entries
        ]
    pieces = [part for piece in pieces for part in _cut_up(piece, step, most)]
    return sorted(
        pieces, key=lambda piece: (SPLITS.index(piece.split), piece.clip, piece.start)
    )


def _cut_up(piece: Piece, step: int, most: int | None) -> list[Piece]:
    """The piece in parts of about equal length, none longer than `most`; one that
    validates stays whole."""
    if most is None or piece.split != "train":
        return [piece]
    parts = -(-piece.frames // most)
    borders = [
        piece.start + piece.frames * part // (parts * step) * step
        for part in range(parts)
    ]
    return [
        replace(piece, start=start, stop=stop)
        for start, stop in pairwise([*borders, piece.stop])
    ]


def _rank(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()


def _by_emotion(entries: Sequence[Entry]) -> list[list[Entry]]:
    def key(entry: Entry) -> tuple[str, int]:
        return entry.emotion, entry.level

    return [
        list(group)
        for _, group in groupby(
            sorted(entries, key=lambda entry: (*key(entry), entry.clip)), key
        )
    ]


def _split_by_time(entries: Sequence[Entry], least: int, step: int) -> list[Piece]:
    """Hold out the last frames of the clips, one after the other."""
    pieces, wanted = (
        [],
        max(least, round(HELD_OUT * sum(entry.frames for entry in entries))),
    )
    for entry in reversed(entries):
        border = entry.frames
        if wanted > 0:
            border = _border(
                entry.frames, max(wanted, least), least, step, alone=len(entries) == 1
            )
        wanted -= entry.frames - border
        if border > 0:
            pieces.append(Piece(entry.clip, "train", 0, border))
        if border < entry.frames:
            pieces.append(Piece(entry.clip, "validation", border, entry.frames))
    return pieces


def _border(frames: int, wanted: int, least: int, step: int, *, alone: bool) -> int:
    """Where to cut a clip so that about `wanted` of its last frames are held out and
    neither piece is too short.

    A clip that is too short for two pieces is held out whole, unless there is no other
    to train on.
    """
    if frames < 2 * least:
        return frames if alone else 0
    border = (frames - wanted) // step * step
    return border if border >= least else 0
