"""Stored records by number: the ArrayRecord shards of a split."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from array_record.python.array_record_module import ArrayRecordReader

RANDOM_READS = "readahead_buffer_size:0,max_parallelism:0"
"""ArrayRecord's options for reading single records."""
BUFFER = 32_768
"""Bytes that are read at once; the default of 1 MiB takes twice the time."""


class DatasetError(ValueError):
    """A data set that cannot be read, or that does not fit its use."""


class RecordSource(Sequence[bytes]):
    """The records of shards, one after the other; threads may read at once, and it
    travels to worker processes.

    Args:
      shards: ArrayRecord files in order.

    Attributes:
      counts: number of records of each shard.
    """

    def __init__(self, shards: Sequence[Path]):
        self._shards = shards
        self.counts = [count_records(shard) for shard in shards]
        # The number of the first record of each shard, and the end.
        self._starts = [0, *accumulate(self.counts)]
        self._readers: dict[int, ArrayRecordReader] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without open files."""
        return vars(self) | {"_readers": {}}

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> bytes:
        """Read a record.

        Raises:
          DatasetError: it is damaged; the message names its file.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        (record,) = self.read([index])
        return record

    def read(self, indices: Sequence[int]) -> list[bytes]:
        """Read records, in the order of their numbers here.

        ArrayRecord's threads read several outside of Python's lock, a single one within.

        Raises:
          DatasetError: one is damaged; the message names its file.
        """
        places: dict[int, list[int]] = {}
        for place, index in enumerate(indices):
            shard = bisect_right(self._starts, index) - 1
            places.setdefault(shard, []).append(place)
        records = [b""] * len(indices)
        for shard, chosen in places.items():
            first = self._starts[shard]
            numbers = [indices[place] - first for place in chosen]
            for place, record in zip(
                chosen, self._read_shard(shard, numbers), strict=True
            ):
                records[place] = record
        return records

    def _read_shard(self, shard: int, numbers: Sequence[int]) -> list[bytes]:
        """Read records of a shard."""
        try:
            return self._reader(shard).read(numbers)
        # What ArrayRecord raises for a checksum that differs.
        except RuntimeError as error:
            raise damage(self._shards[shard], str(error)) from error

    def _reader(self, shard: int) -> "ArrayRecordReader":
        # imported late: it starts slowly, and descriptions are read without it
        from array_record.python.array_record_module import ArrayRecordReader

        reader = self._readers.get(shard)
        if reader is None:
            # Two threads may both open it; one of them is kept.
            path = str(self._shards[shard])
            reader = ArrayRecordReader(
                path, RANDOM_READS, file_reader_buffer_size=BUFFER
            )
            self._readers[shard] = reader
        return reader


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
