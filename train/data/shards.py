"""The layout of a data set on disk, independent of its records: ArrayRecord shards of
two splits, and files of JSON."""

import errno
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, cast

import msgspec
import numpy as np
from flax import serialization

from jaxportrait.ranges import Natural, Range, check_ranges
from jaxportrait.whole import write_whole
from train.data.source import DatasetError, RecordSource
from train.data.spacing import evenly_spaced

R = TypeVar("R")
D = TypeVar("D")
S = TypeVar("S", bound="ClipShards[Any]")
Content = dict[str, Any]
Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")

# one record a group, so that a record is read without its neighbours
RANDOM_ACCESS = "group_size:1"
# motion, features and JPEG get hardly smaller, and unpacking takes most of the time
UNPACKED = f"{RANDOM_ACCESS},uncompressed"

MOST_SHARDS = 99_999
"""Names of shards have five digits."""


@dataclass(frozen=True)
class SplitSize:
    """Contents of a split, counted.

    Attributes:
      shards: number of files.
      clips: number of records.
      frames: frames of all records.
    """

    shards: Annotated[int, Range(0, MOST_SHARDS)]
    clips: Natural
    frames: Natural

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class DecodedRecords(Sequence[R]):
    """Records of a split, decoded as they are read.

    Attributes:
      source: the stored records.
      decode: returns a record of its bytes.
    """

    source: RecordSource
    decode: Callable[[bytes], R]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> R:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read a record."""
        return self.decode(self.source[index])


@dataclass(frozen=True)
class ClipShards(ABC, Generic[R]):
    """A data set on disk: clips in shards.

    Attributes:
      path: folder of the data set.
      sizes: contents of each split.
    """

    path: Path
    sizes: Mapping[Split, SplitSize]

    @abstractmethod
    def decode(self, data: bytes) -> R:
        """Return the record stored as `data`.

        Raises:
          DatasetError: it is damaged, or not as the data set describes it.
        """

    def records(self, split: Split) -> Sequence[R]:
        """Return the clips of a split, which are read when they are used: one record a
        clip."""
        return DecodedRecords(RecordSource(self.shards(split)), self.decode)

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
        total = self.sizes[split].clips
        if total == 0:
            return
        records = self.records(split)
        for index in evenly_spaced(total, count):
            yield records[index]

    def check(self) -> None:
        """Raise a DatasetError unless the shards hold as many records as described, and
        the first of each split is as described; the others are checked when they are
        read."""
        for split in SPLITS:
            clips = self.sizes[split].clips
            records = self.records(split)
            if len(records) != clips:
                raise DatasetError(
                    f"data set {self.path} is damaged (its {split} shards hold {len(records)} clips, the description "
                    f"{clips}): process the videos again"
                )
            if clips:
                self.check_record(records[0])

    def check_record(self, record: R) -> None:
        """Raise a DatasetError unless a record's contents, which decoding leaves as they
        are stored, are as described."""


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


def write_shard(
    path: Path, records: Iterable[bytes], layout: str = RANDOM_ACCESS
) -> None:
    """Write a shard, whole or not at all.

    Args:
      path: file of the shard.
      records: its records in order.
      layout: ArrayRecord's options, `RANDOM_ACCESS` or `UNPACKED`.
    """
    # imported late, like grain
    from array_record.python.array_record_module import ArrayRecordWriter

    with write_whole(path) as partial:
        try:
            writer = ArrayRecordWriter(str(partial), layout)
            for record in records:
                writer.write(record)
            writer.close()
        except RuntimeError as error:
            raise as_disk_error(error) from error


def as_disk_error(error: RuntimeError) -> Exception:
    """Return the OSError that ArrayRecord's error stands for, or else itself."""
    # It only quotes the system's words.
    for number in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(number) in str(error):
            return OSError(number, os.strerror(number))
    return error


def require_array_record() -> None:
    """Raise a DatasetError if the library of the shards is not installed."""
    if find_spec("array_record") is None:
        raise DatasetError(
            "data sets need the package array-record, which is not installed: install it with pip; "
            "it has no wheel for Windows, where WSL runs this program"
        )


def require_shape(
    clip: str, name: str, array: Any, shape: tuple[int | None, ...]
) -> None:
    """Raise a DatasetError unless an array of a clip's record has this shape, in which
    None is any length."""
    # The same number of axes, and each as long as expected.
    lengths = np.shape(array)
    fits = len(lengths) == len(shape) and all(
        expected in (None, length)
        for length, expected in zip(lengths, shape, strict=True)
    )
    if not fits:
        words = ", ".join("any" if length is None else str(length) for length in shape)
        raise DatasetError(
            f"clip {clip} has {name} of shape {lengths}, and the data set describes ({words}): "
            "process the videos again"
        )


def open_clips(
    path: str | Path,
    name: str,
    program: str,
    kind: type[D],
    formats: Collection[int],
    make: Callable[[Path, D], S],
) -> S:
    """Open a data set and check its files.

    Args:
      path: folder of the data set.
      name: name of its description, which is written last and so marks a complete data
        set.
      program: the program that writes it.
      kind: type of the description.
      formats: formats that are read.
      make: returns the data set of its path and description.

    Raises:
      FileNotFoundError: there is no complete data set.
      DatasetError: the data set is damaged, or of an unknown format.
    """
    require_array_record()
    path = Path(path)
    if not (path / name).is_file():
        raise FileNotFoundError(
            f"no data set at {path} ({name} is missing): make or finish it with `python -m {program}`"
        )
    description = read_description(path / name, kind, formats)
    with damage_reported(path / name):
        dataset = make(path, description)
    dataset.check()
    return dataset


@contextmanager
def damage_reported(path: Path) -> Iterator[None]:
    """Raise a DatasetError if the content of a file of a data set is missing or
    malformed."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, DatasetError):
            raise
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DatasetError(
            f"{path} is damaged ({reason}): process the videos again"
        ) from error


class Versioned(msgspec.Struct):
    """The part of a description that every format has."""

    format: int


def read_description(path: Path, kind: type[D], formats: Collection[int]) -> D:
    """Read a description of any readable format.

    Later formats only add optional fields, which their defaults stand for.

    Raises:
      DatasetError: the file is damaged, or its format is not readable.
    """
    # the format is checked before the fields, which it changes
    version = read_json(path, Versioned).format
    if version not in formats:
        readable = " and ".join(map(str, formats))
        raise DatasetError(
            f"{path} is of format {version}, this version reads {readable}"
        )
    return read_json(path, kind)


def read_json(path: Path, kind: type[D]) -> D:
    """Read a file of JSON.

    Raises:
      DatasetError: the file is missing or damaged.
    """
    with damage_reported(path):
        return msgspec.json.decode(path.read_bytes(), type=kind)


def write_json(path: Path, content: Any) -> None:
    """Write a file of JSON, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
