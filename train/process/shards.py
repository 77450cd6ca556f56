"""Write the data set: pieces of records into ArrayRecord shards, and the statistics of those that train."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from train.process.split import Piece
from train.process.statistics import MotionMoments
from train.records import (
    DESCRIPTION,
    SPLITS,
    ClipRecord,
    Dataset,
    Split,
    SplitSize,
    encode_record,
    feature_at,
    features_needed,
    shard_name,
    window_count,
    write_description,
)

SHARD_RECORDS = 512
RANDOM_ACCESS = "group_size:1"  # a record is read without its neighbours


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

    Until the description stands, which is written last, the folder counts as unfinished.

    Args:
      pieces: in the order in which they are to lie; one at least trains.
      read: the whole record of a clip.
    """
    (folder / DESCRIPTION).unlink(missing_ok=True)
    for stale in folder.glob("*.array_record*"):
        stale.unlink()
    moments = MotionMoments()
    sizes: dict[Split, SplitSize] = {
        split: _write_split(folder, split, _of(pieces, split), read, moments) for split in SPLITS
    }
    dataset = Dataset(folder, sizes, feature_width, audio_encoder, motion_space, moments.mean, moments.deviation)
    write_description(dataset)
    return dataset


def cut_record(record: ClipRecord, piece: Piece) -> ClipRecord:
    """The frames of a piece, with the audio features that cover them."""
    first = feature_at(piece.start)
    return replace(
        record,
        motion=record.motion[piece.start : piece.stop],
        features=record.features[first : first + features_needed(piece.stop - piece.start)],
        envelope=record.envelope[piece.start : piece.stop],
        start=record.start + piece.start,
    )


def _of(pieces: Iterable[Piece], split: Split) -> list[Piece]:
    return [piece for piece in pieces if piece.split == split]


def _write_split(
    folder: Path,
    split: Split,
    pieces: Sequence[Piece],
    read: Callable[[str], ClipRecord],
    moments: MotionMoments,
) -> SplitSize:
    """Write the shards of a split; the frames of the train split are added to `moments`."""
    count = -(-len(pieces) // SHARD_RECORDS)
    source = iter(pieces)
    for index in range(count):
        records = (cut_record(read(piece.clip), piece) for piece in islice(source, SHARD_RECORDS))
        _write_shard(folder / shard_name(split, index, count), records, moments if split == "train" else None)
    frames = [piece.stop - piece.start for piece in pieces]
    return SplitSize(count, len(pieces), sum(frames), sum(map(window_count, frames)))


def _write_shard(path: Path, records: Iterable[ClipRecord], moments: MotionMoments | None) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    partial = path.with_name(f"{path.name}.partial")
    writer = ArrayRecordWriter(str(partial), RANDOM_ACCESS)
    for record in records:
        writer.write(encode_record(record))
        if moments is not None:
            moments.add(record.motion)
    writer.close()
    partial.replace(path)
