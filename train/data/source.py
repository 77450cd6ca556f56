"""Stored records by number: the ArrayRecord shards of a split."""

from collections.abc import Sequence
from pathlib import Path


class DatasetError(ValueError):
    """A data set that cannot be read, or that does not fit its use."""


class RecordSource(Sequence[bytes]):
    """The records of shards, one after the other, as Grain reads them; threads may read
    at once.

    Args:
      shards: ArrayRecord files in order.
    """

    def __init__(self, shards: Sequence[Path]):
        # imported late: grain starts slowly, and descriptions are read without it
        from grain.sources import ArrayRecordDataSource

        self._shards = shards
        self._source = ArrayRecordDataSource([str(shard) for shard in shards])

    def __len__(self) -> int:
        return len(self._source)  # pyright: ignore[reportArgumentType]

    def __getitem__(self, index: int) -> bytes:
        """Read a record.

        Raises:
          DatasetError: it is damaged; the message names its file.
        """
        try:
            return self._source[index]
        # what ArrayRecord raises for a checksum that differs
        except RuntimeError as error:
            raise damage(self._shard_of(index), str(error)) from error

    def _shard_of(self, index: int) -> Path:
        """Return the shard that holds a record."""
        last = 0
        for shard in self._shards:
            last += count_records(shard)
            if index < last:
                return shard
        raise IndexError(index)


def count_records(shard: Path) -> int:
    """Return the number of records of a shard, which its last bytes tell.

    Raises:
      DatasetError: the shard is missing or damaged.
    """
    # imported late, like grain
    from array_record.python.array_record_module import ArrayRecordReader

    if not shard.is_file():
        raise DatasetError(
            f"data set {shard.parent} lacks {shard.name}: process the videos again"
        )
    try:
        reader = ArrayRecordReader(str(shard))
        # a file that is cut where a chunk ends has no records, and no error
        if not reader.ok():
            raise damage(shard, "its end is missing")
        return reader.num_records()
    except RuntimeError as error:
        raise damage(shard, str(error)) from error


def damage(shard: Path, reason: str) -> DatasetError:
    """Return the error of a damaged shard."""
    return DatasetError(f"{shard} is damaged ({reason}): process the videos again")
