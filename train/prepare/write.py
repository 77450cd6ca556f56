"""Writing of shards: pieces of records into the ArrayRecord files of both splits."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from train.data.shards import SPLITS, Split, SplitSize, shard_name, write_shard
from train.prepare.split import Piece, pieces_of

Cut = Callable[[Piece], bytes]
"""cut(piece) -> the piece's packed record."""


def write_splits(
    folder: Path,
    description: str,
    pieces: Sequence[Piece],
    cut: Cut,
    shard_records: int,
) -> dict[Split, SplitSize]:
    """Replace the shards of both splits; the description is still to be written.

    Args:
      folder: folder of the data set.
      description: file that marks a complete data set.
      pieces: pieces in their order on disk.
      cut: returns the packed record of a piece.
      shard_records: most records of a shard.
    """
    (folder / description).unlink(missing_ok=True)
    # A split with fewer shards than before must not keep old ones. Partial folders,
    # whose names begin with a dot, may be another run's.
    for stale in folder.glob("[!.]*.array_record*"):
        stale.unlink()
    return {
        split: _write_split(folder, split, pieces_of(pieces, split), cut, shard_records)
        for split in SPLITS
    }


def _write_split(
    folder: Path, split: Split, pieces: Sequence[Piece], cut: Cut, shard_records: int
) -> SplitSize:
    count = -(-len(pieces) // shard_records)
    # records are read as they are written, one at a time
    source = iter(pieces)
    for index in range(count):
        path = folder / shard_name(split, index, count)
        write_shard(path, map(cut, islice(source, shard_records)))
    return SplitSize(count, len(pieces), sum(piece.frames for piece in pieces))
