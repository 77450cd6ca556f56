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

    Attributes:
      counts: number of records of each shard.
    """

    def __init__(self, shards: Sequence[Path]):
        # imported late: grain starts slowly, and descriptions are read without it
        from grain.sources import ArrayRecordDataSource

        self._shards = shards
        self.counts = [count_records(shard) for shard in shards]
        paths = [str(shard) for shard in shards]
        # an empty split has no shards, which Grain refuses
        self._source = ArrayRecordDataSource(paths) if paths else []

    def __len__(self) -> int:
        return sum(self.counts)

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

    def read(self, indices: Sequence[int]) -> Sequence[bytes]:
        """Read records, in the order of their numbers here.

        Raises:
          DatasetError: one is damaged; the message names its file.
        """
        try:
            return self._source.__getitems__(indices)  # pyright: ignore
        except RuntimeError:
            # one by one, to learn which
            return [self[index] for index in indices]

    def _shard_of(self, index: int) -> Path:
        """Return the shard that holds a record."""
        last = 0
        for shard, count in zip(self._shards, self.counts, strict=True):
            last += count
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
