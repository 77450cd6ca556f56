"""Division of clips into train and validation: by subject, or by time if there is only
one."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated

from jaxportrait.ranges import OptionError, Range, check_ranges
from train.data.shards import SPLITS, Split
from train.prepare.manifest import Entry

HELD_OUT = 0.1


@dataclass(frozen=True)
class SplitOptions:
    """Clips that are held out for validation.

    Attributes:
      held_out: subjects that are held out, by name; by default some are chosen.
      held_out_share: share of the subjects that is held out, at least one; of the time,
        if there is a single subject.
    """

    held_out: tuple[str, ...] = ()
    held_out_share: Annotated[float, Range(above=0, below=1)] = HELD_OUT

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.held_out and self.held_out_share != HELD_OUT:
            raise OptionError(
                "--held-out names the subjects, and --held-out-share counts them: leave out either"
            )


ANY_SUBJECTS = SplitOptions()


@dataclass(frozen=True)
class Piece:
    """Frames `start` to `stop` of a clip's record, in a split.

    Attributes:
      variant: number of the augmentation of the clip's sound; 0 for the sound itself.
    """

    clip: str
    split: Split
    start: int
    stop: int
    variant: int = 0

    @property
    def frames(self) -> int:
        return self.stop - self.start


def check_held_out(options: SplitOptions, subjects: Iterable[str]) -> None:
    """Raise a ValueError unless the held-out names are some of the subjects, but not all
    of them."""
    present = set(subjects)
    unknown = set(options.held_out) - present
    if unknown:
        raise ValueError(
            f"--held-out names {_joined(unknown)}, and there is no clip of that name to use (subjects: "
            f"{_joined(present)})"
        )
    if options.held_out and not present - set(options.held_out):
        raise ValueError(
            f"--held-out names all subjects ({_joined(present)}), and none is left to train on: leave some out"
        )


def _joined(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def split_clips(
    entries: Sequence[Entry],
    least: int,
    step: int,
    options: SplitOptions = ANY_SUBJECTS,
) -> list[Piece]:
    """Divide clips into train and validation; the same clips are always divided alike.

    A share of several subjects, at least one, is held out whole: those that are named,
    else those whose names have the least hashes, so that a subject keeps its split when
    a few others are added. Of a single subject the last share of the time is held out,
    in every emotion and level.

    A clip whose pictures are those of a clip that validates does not train.

    Args:
      entries: manifest entries of the usable clips.
      least: shortest piece in frames.
      step: clips are cut at multiples of it.
      options: share or names of the subjects that are held out.
    """
    subjects = sorted({entry.subject for entry in entries}, key=_rank)
    # A subject by itself cannot be held out whole.
    if len(subjects) == 1:
        pieces = _split_subject(entries, least, step, options.held_out_share)
    else:
        count = max(1, round(options.held_out_share * len(subjects)))
        # one subject is left to train on, whatever the share
        chosen = subjects[: min(count, len(subjects) - 1)]
        held_out = set(options.held_out or chosen)
        pieces = _split_by_subject(entries, held_out)
    pieces = _without_leaks(pieces, entries)
    return sorted(pieces, key=_position)


def _without_leaks(pieces: list[Piece], entries: Sequence[Entry]) -> list[Piece]:
    """Leave out pieces that train on the pictures of another clip that validates."""
    contents = {entry.clip: entry.pictures for entry in entries}
    held_out = {
        (contents[piece.clip], piece.clip)
        for piece in pieces
        if piece.split == "validation"
    }

    def leaks(piece: Piece) -> bool:
        content = contents[piece.clip]
        others = {clip for pictures, clip in held_out if pictures == content}
        # parts of one clip are parted by time
        return bool(content and others - {piece.clip})

    return [piece for piece in pieces if piece.split != "train" or not leaks(piece)]


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
        pieces += _parts_of(entry, split)
    return pieces


def _parts_of(entry: Entry, split: Split) -> list[Piece]:
    """Return the usable parts of a clip, as pieces of a split."""
    spans = entry.spans or ((0, entry.frames),)
    return [Piece(entry.clip, split, start, stop) for start, stop in spans]


def _split_subject(
    entries: Sequence[Entry], least: int, step: int, share: float
) -> list[Piece]:
    def emotion(entry: Entry) -> tuple[str, int]:
        return entry.emotion, entry.level

    # `groupby` joins neighbours only
    ordered = sorted(entries, key=lambda entry: (*emotion(entry), entry.clip))
    pieces = []
    for _, group in groupby(ordered, emotion):
        parts = [part for entry in group for part in _parts_of(entry, "train")]
        pieces += _split_by_time(parts, least, step, share)
    return pieces


def _split_by_time(
    parts: Sequence[Piece], least: int, step: int, share: float
) -> list[Piece]:
    """Hold out the last frames of the parts, one part after the other."""
    pieces = []
    total = sum(part.frames for part in parts)
    # Frames still to hold out.
    missing = max(least, round(share * total))
    # the last clips of the group come first
    for part in reversed(parts):
        border = part.frames
        if missing > 0:
            target = max(missing, least)
            border = _border(part.frames, target, least, step, only=len(parts) == 1)
        missing -= part.frames - border
        middle = part.start + border
        if middle > part.start:
            pieces.append(replace(part, stop=middle))
        if middle < part.stop:
            pieces.append(replace(part, split="validation", start=middle))
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
