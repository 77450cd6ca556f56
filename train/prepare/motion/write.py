"""Write the data set: pieces of records into ArrayRecord shards, and the statistics of
those that train."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, replace
from itertools import islice
from pathlib import Path

from train.data.records import (
    DESCRIPTION,
    ClipRecord,
    Dataset,
    WindowSplitSize,
    encode_record,
    feature_at,
    features_needed,
    window_count,
    write_description,
)
from train.data.shards import SPLITS, Split, SplitSize, shard_name, write_shard
from train.prepare.motion.statistics import MotionMoments
from train.prepare.split import Piece

SHARD_RECORDS = 512


def write_dataset(
    folder: Path,
    pieces: Sequence[Piece],
    read: Callable[[str], ClipRecord],
    *,
    feature_width: int,
    audio_encoder: str,
    motion_space: str,
) -> Dataset:
    """Write shards, statistics and description; the same pieces give the same bytes.

    Until the description stands, which is written last, the folder counts as
    unfinished.

    Args:
      pieces: in the order in which they are to lie; one at least trains.
      read: the whole record of a clip.
    """
    moments = MotionMoments()

    def cut(piece: Piece) -> bytes:
        record = cut_record(read(piece.clip), piece)
        if piece.split == "train":
            moments.add(record.motion)
        return encode_record(record)

    sizes = write_splits(folder, DESCRIPTION, pieces, cut, SHARD_RECORDS)
    windows = {
        split: sum(window_count(piece.frames) for piece in _of(pieces, split))
        for split in SPLITS
    }
    counted: dict[Split, WindowSplitSize] = {
        split: WindowSplitSize(*astuple(sizes[split]), windows=windows[split])
        for split in SPLITS
    }
    dataset = Dataset(
        folder,
        counted,
        feature_width,
        audio_encoder,
        motion_space,
        moments.mean,
        moments.deviation,
    )
    write_description(dataset)
    return dataset


def cut_record(record: ClipRecord, piece: Piece) -> ClipRecord:
    """The frames of a piece, with the audio features that cover them."""
    first = feature_at(piece.start)
    return replace(
        record,
        motion=record.motion[piece.start : piece.stop],
        features=record.features[
            first : first + features_needed(piece.stop - piece.start)
        ],
        envelope=record.envelope[piece.start : piece.stop],
        start=record.start + piece.start,
    )


def write_splits(
    folder: Path,
    description: str,
    pieces: Sequence[Piece],
    cut: Callable[[Piece], bytes],
    shard_records: int,
) -> dict[Split, SplitSize]:
    """Write the shards of both splits in place of what stood there; the description is
    yet to be written.

    Args:
      description: the file that says that the data set is complete.
      pieces: in the order in which they are to lie.
      cut: the packed record of a piece.
      shard_records: in a shard, at most.
    """
    (folder / description).unlink(missing_ok=True)
    for stale in folder.glob("*.array_record*"):
        stale.unlink()
    return {
        split: _write_split(folder, split, _of(pieces, split), cut, shard_records)
        for split in SPLITS
    }


def _of(pieces: Iterable[Piece], split: Split) -> list[Piece]:
    return [piece for piece in pieces if piece.split == split]


def _write_split(
    folder: Path,
    split: Split,
    pieces: Sequence[Piece],
    cut: Callable[[Piece], bytes],
    shard_records: int,
) -> SplitSize:
    count = -(-len(pieces) // shard_records)
    source = iter(pieces)
    for index in range(count):
        write_shard(
            folder / shard_name(split, index, count),
            map(cut, islice(source, shard_records)),
        )
    return SplitSize(count, len(pieces), sum(piece.frames for piece in pieces))
