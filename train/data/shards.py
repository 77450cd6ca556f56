"""How a data set lies on disk, whatever its records hold: ArrayRecord shards of two
splits, and files of JSON."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from flax import serialization

R = TypeVar("R")
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")

RANDOM_ACCESS = "group_size:1"  # a record is read without its neighbours


class DatasetError(ValueError):
    """A data set that cannot be read, or does not fit what is asked of it."""


@dataclass(frozen=True)
class SplitSize:
    """How much a split holds."""

    shards: int
    clips: int
    frames: int


@dataclass(frozen=True)
class ClipShards(ABC, Generic[R]):
    """A data set on disk, a record a clip.

    Attributes:
      path: its folder.
      sizes: of each split.
    """

    path: Path
    sizes: Mapping[Split, SplitSize]

    @staticmethod
    @abstractmethod
    def decode(data: bytes) -> R:
        """The record that lies on disk as `data`."""

    def shards(self, split: Split) -> list[Path]:
        """The ArrayRecord files of a split, in order."""
        count = self.sizes[split].shards
        return [self.path / shard_name(split, index, count) for index in range(count)]

    def clips(self, split: Split) -> Iterator[R]:
        """The records of a split in their order on disk."""
        return self.spread(split, self.sizes[split].clips)

    def spread(self, split: Split, count: int) -> Iterator[R]:
        """At most `count` records of a split, evenly spaced over it, which lies in the
        order of names."""
        from grain.sources import ArrayRecordDataSource

        total = self.sizes[split].clips
        if total == 0:
            return
        source, count = (
            ArrayRecordDataSource([str(shard) for shard in self.shards(split)]),
            min(count, total),
        )
        for part in range(count):
            yield self.decode(source[(2 * part + 1) * total // (2 * count)])

    def require_shards(self) -> None:
        """Raise a DatasetError that names the shards that are missing."""
        missing = [
            shard.name
            for split in SPLITS
            for shard in self.shards(split)
            if not shard.is_file()
        ]
        if missing:
            raise DatasetError(
                f"data set {self.path} lacks {', '.join(missing)}: process the videos again"
            )


def shard_name(split: Split, index: int, count: int) -> str:
    """The file name of a shard, such as `train-00000-of-00004.array_record`."""
    return f"{split}-{index:05d}-of-{count:05d}.array_record"


def pack(record: Any) -> bytes:
    """A dataclass as MessagePack; equal ones give equal bytes."""
    return serialization.msgpack_serialize(
        {name: getattr(record, name) for name in record.__dataclass_fields__}
    )


def unpack(kind: type[R], data: bytes) -> R:
    """The dataclass that `pack` wrote; its arrays are read-only.

    Raises:
      DatasetError: bytes that are no such record.
    """
    try:
        return kind(**cast(dict[str, Any], serialization.msgpack_restore(data)))
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"a record of {len(data)} bytes is no {kind.__name__} of this version: process the videos again"
        ) from error


def write_shard(path: Path, records: Iterable[bytes]) -> None:
    """Write a shard, whole or not at all."""
    from array_record.python.array_record_module import ArrayRecordWriter

    partial = path.with_name(f"{path.name}.partial")
    writer = ArrayRecordWriter(str(partial), RANDOM_ACCESS)
    for record in records:
        writer.write(record)
    writer.close()
    partial.replace(path)


def require_complete(path: Path, description: str, program: str) -> None:
    """Raise a FileNotFoundError unless a data set's description, which is written last,
    is there."""
    if not (path / description).is_file():
        raise FileNotFoundError(
            f"no data set at {path} ({description} is missing): make or finish it with `python -m {program}`"
        )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise a DatasetError where the files of the data set at `path` are missing or not
    what they should be."""
    try:
        yield
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DatasetError(
            f"data set {path} is damaged ({error}): process the videos again"
        ) from error


def read_description(path: Path, version: int) -> dict[str, Any]:
    """A file of JSON that tells its format; raise a DatasetError if that is another
    one."""
    description = read_json(path)
    if description["format"] != version:
        raise DatasetError(
            f"{path} is of format {description['format']}, this version reads {version}"
        )
    return description


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write a file of JSON, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
