"""The layout of a data set on disk, independent of its records: ArrayRecord shards of
two splits, and files of JSON."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec
from flax import serialization

from train.data.spacing import evenly_spaced

R = TypeVar("R")
Content = dict[str, Any]
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")

FORMAT = 2
"""Format of the descriptions and records that are written."""
READABLE_FORMATS = (1, 2)
"""Formats that are read; older ones are upgraded on reading."""

# one record a group, so that a record is read without its neighbours
RANDOM_ACCESS = "group_size:1"


class DatasetError(ValueError):
    """A data set that cannot be read, or that does not fit its use."""


@dataclass(frozen=True)
class SplitSize:
    """Contents of a split, counted.

    Attributes:
      shards: number of files.
      clips: number of records.
      frames: frames of all records.
    """

    shards: int
    clips: int
    frames: int


@dataclass(frozen=True)
class ClipShards(ABC, Generic[R]):
    """A data set on disk, one record a clip.

    Attributes:
      path: folder of the data set.
      sizes: contents of each split.
    """

    path: Path
    sizes: Mapping[Split, SplitSize]

    @staticmethod
    @abstractmethod
    def decode(data: bytes) -> R:
        """Return the record stored as `data`."""

    def shards(self, split: Split) -> list[Path]:
        """List the ArrayRecord files of a split, in order."""
        count = self.sizes[split].shards
        return [self.path / shard_name(split, index, count) for index in range(count)]

    def clips(self, split: Split) -> Iterator[R]:
        """Yield the records of a split in their order on disk."""
        return self.evenly_spaced(split, self.sizes[split].clips)

    def evenly_spaced(self, split: Split, count: int) -> Iterator[R]:
        """Yield at most `count` records, evenly spaced over a split.

        A split is sorted by clip name, so the records cover all subjects.
        """
        # imported late: grain starts slowly, and descriptions are read without it
        from grain.sources import ArrayRecordDataSource

        total = self.sizes[split].clips
        if total == 0:
            return
        source = ArrayRecordDataSource([str(shard) for shard in self.shards(split)])
        for index in evenly_spaced(total, count):
            yield self.decode(source[index])

    def require_shards(self) -> None:
        """Raise a DatasetError that names the missing shards, if any."""
        shards = [shard for split in SPLITS for shard in self.shards(split)]
        missing = [shard.name for shard in shards if not shard.is_file()]
        if missing:
            raise DatasetError(
                f"data set {self.path} lacks {', '.join(missing)}: process the videos again"
            )


def shard_name(split: Split, index: int, count: int) -> str:
    """Return a shard's file name, such as `train-00000-of-00004.array_record`."""
    return f"{split}-{index:05d}-of-{count:05d}.array_record"


def pack(record: Any) -> bytes:
    """Return a dataclass as MessagePack; equal records give equal bytes.

    Optional fields that hold nothing are left out, so they cost no bytes.
    """
    content = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Mapping):
            # an empty mapping is left out like None
            value = {name: _storable(value[name]) for name in value} or None
        if value is not None:
            content[field.name] = value
    return serialization.msgpack_serialize(content)


def _storable(value: Any) -> Any:
    # MessagePack has no tuples
    return list(value) if isinstance(value, tuple) else value


def unpack(
    kind: type[R], data: bytes, upgrade: Callable[[Content], Content] = dict
) -> R:
    """Return the dataclass that `pack` stored; its arrays are read-only.

    Args:
      kind: type of the record.
      data: bytes of the record.
      upgrade: turns the fields of an older format into those of `kind`.

    Raises:
      DatasetError: the bytes are not such a record.
    """
    try:
        content = cast(Content, serialization.msgpack_restore(data))
        return kind(**upgrade(content))
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"a record of {len(data)} bytes is no {kind.__name__} of this version: process the videos again"
        ) from error


def write_shard(path: Path, records: Iterable[bytes]) -> None:
    """Write a shard, whole or not at all."""
    # imported late, like grain
    from array_record.python.array_record_module import ArrayRecordWriter

    # a run that ends here leaves no half shard
    partial = path.with_name(f"{path.name}.partial")
    writer = ArrayRecordWriter(str(partial), RANDOM_ACCESS)
    for record in records:
        writer.write(record)
    writer.close()
    partial.replace(path)


def require_array_record() -> None:
    """Raise a DatasetError if the library of the shards is not installed."""
    if find_spec("array_record") is None:
        raise DatasetError(
            "data sets need the package array-record, which is not installed: install it with pip; "
            "it has no wheel for Windows, where WSL runs this program"
        )


def require_complete(path: Path, description: str, program: str) -> None:
    """Raise a FileNotFoundError unless the data set at `path` has a description.

    The description is written last, so it marks a complete data set.

    Raises:
      DatasetError: data sets cannot be read here.
    """
    require_array_record()
    if not (path / description).is_file():
        raise FileNotFoundError(
            f"no data set at {path} ({description} is missing): make or finish it with `python -m {program}`"
        )


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Raise a DatasetError if files of the data set at `path` are missing or
    malformed."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(
            f"data set {path} is damaged ({error}): process the videos again"
        ) from error


def read_description(path: Path, kind: type[R]) -> R:
    """Read a description of any readable format.

    Format 2 only adds optional fields to format 1, which their defaults stand for.

    Raises:
      DatasetError: the format is not readable.
    """
    # the format is checked before the fields, which it changes
    content = read_json(path)
    if content["format"] not in READABLE_FORMATS:
        readable = " and ".join(map(str, READABLE_FORMATS))
        raise DatasetError(
            f"{path} is of format {content['format']}, this version reads {readable}"
        )
    return msgspec.convert(content, kind)


def read_json(path: Path) -> Content:
    """Read a JSON object."""
    return msgspec.json.decode(path.read_bytes(), type=Content)


def write_json(path: Path, content: Any) -> None:
    """Write a file of JSON, whole or not at all."""
    # a file of half its length would look damaged
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
