"""Writing of shards: pieces of records into the ArrayRecord files of both splits."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

from train.data.shards import (
    RANDOM_ACCESS,
    SPLITS,
    Split,
    SplitSize,
    shard_name,
    write_shard,
)
from train.prepare.split import Piece, pieces_of

Encode = Callable[[Iterable[Piece]], Iterable[bytes]]
"""encode(pieces) -> the records of a shard that holds them."""


def write_splits(
    folder: Path,
    description: str,
    pieces: Sequence[Piece],
    encode: Encode,
    shard_clips: int,
    layout: str = RANDOM_ACCESS,
) -> dict[Split, SplitSize]:
    """Replace the shards of both splits; the description is still to be written.

    Args:
      folder: folder of the data set.
      description: file that marks a complete data set.
      pieces: pieces in their order on disk.
      encode: returns the records of a shard's pieces.
      shard_clips: most clips of a shard.
      layout: ArrayRecord's options.
    """
    (folder / description).unlink(missing_ok=True)
    # A split with fewer shards than before must not keep old ones. Partial folders,
    # whose names begin with a dot, may be another run's.
    for stale in folder.glob("[!.]*.array_record*"):
        stale.unlink()
    sizes = {}
    for split in SPLITS:
        chosen = pieces_of(pieces, split)
        count = -(-len(chosen) // shard_clips)
        # records are read as they are written, one at a time
        source = iter(chosen)
        for index in range(count):
            path = folder / shard_name(split, index, count)
            write_shard(path, encode(islice(source, shard_clips)), layout)
        frames = sum(piece.frames for piece in chosen)
        sizes[split] = SplitSize(count, len(chosen), frames)
    return sizes
