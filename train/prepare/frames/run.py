"""A run: videos -> frames of their clips, as a data set for renderer training."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from train.data.frames import (
    DESCRIPTION,
    FrameDataset,
    FrameRecord,
    decode_record,
    encode_record,
    write_description,
)
from train.data.shards import DatasetError
from train.prepare.frames.extract import FrameRecipe
from train.prepare.gather import Job, gather
from train.prepare.manifest import Entry
from train.prepare.motion.write import write_splits
from train.prepare.split import Piece

SHARD_RECORDS = 128  # a record is near to a megabyte


def make_frames(
    job: Job[FrameRecipe], console: Console
) -> tuple[FrameDataset, list[Entry]]:
    """Take the frames of the clips that are not done yet, and write the data set of
    all.

    Raises:
      ValueError, OSError: what is wrong with the job as a whole; a clip's own errors
        are in its entry.
    """
    job.recipe.check()
    found = gather(job, console)
    dataset = write_frames(
        job.output_path,
        found.pieces,
        lambda name: decode_record(found.read(name)),
        job.recipe,
    )
    return dataset, found.entries


def write_frames(
    folder: Path,
    pieces: Sequence[Piece],
    read: Callable[[str], FrameRecord],
    recipe: FrameRecipe,
) -> FrameDataset:
    """Write shards and description; the same pieces give the same bytes.

    Args:
      pieces: in the order in which they are to lie.
      read: the whole record of a clip.
      recipe: by which the frames were taken.

    Raises:
      DatasetError: clips whose landmarks differ in number.
    """
    digest, counts = hashlib.sha256(), set[int]()

    def cut(piece: Piece) -> bytes:
        record = cut_frames(read(piece.clip), piece)
        data = encode_record(record)
        counts.add(record.landmarks.shape[1])
        digest.update(data)
        return data

    sizes = write_splits(folder, DESCRIPTION, pieces, cut, SHARD_RECORDS)
    dataset = FrameDataset(
        folder,
        sizes,
        recipe.size,
        recipe.zoom,
        _landmark_count(counts),
        digest.hexdigest()[:16],
    )
    write_description(dataset)
    return dataset


def cut_frames(record: FrameRecord, piece: Piece) -> FrameRecord:
    """The frames of a piece."""
    part = slice(piece.start, piece.stop)
    return replace(
        record,
        images=record.images[part],
        landmarks=record.landmarks[part],
        pose=record.pose[part],
    )


def _landmark_count(counts: set[int]) -> int:
    known = sorted(counts - {0})
    if len(known) > 1:
        raise DatasetError(
            f"some clips have {known[0]} landmarks and others {known[-1]}: process them apart, by --subjects"
        )
    return known[0] if known else 0
