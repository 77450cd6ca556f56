"""Shards whose clips have several records each, and whose last record lists the
clips."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import msgspec

from train.data.source import RecordSource, damage

E = TypeVar("E")


def open_listed(
    shards: Sequence[Path], kind: type[E], record_count: Callable[[E], int]
) -> tuple[RecordSource, list[E], list[int]]:
    """Open the shards of a split.

    Args:
      shards: ArrayRecord files in order.
      kind: type of a clip's entry in the list.
      record_count: returns the number of records of an entry's clip.

    Returns:
      The records of all shards, the entries of all clips, and the number of each clip's
      first record.

    Raises:
      DatasetError: a shard is damaged.
    """
    source = RecordSource(shards)
    entries: list[E] = []
    heads: list[int] = []
    # The number of the first record of a shard.
    first = 0
    for shard, count in zip(shards, source.counts, strict=True):
        listed = _read_list(shard, source, first + count - 1, kind)
        lengths = [record_count(entry) for entry in listed]
        if sum(lengths) + 1 != count:
            reason = f"it has {count} records, and lists {sum(lengths) + 1}"
            raise damage(shard, reason)
        entries += listed
        heads += accumulate(lengths[:-1], initial=first) if lengths else []
        first += count
    return source, entries, heads


def _read_list(
    shard: Path, source: RecordSource, number: int, kind: type[E]
) -> list[E]:
    """Return the list of clips at a shard's end."""
    if number < 0:
        raise damage(shard, "it has no records")
    try:
        return msgspec.msgpack.decode(source[number], type=list[kind])
    except msgspec.MsgspecError as error:
        raise damage(shard, f"its list of clips: {error}") from error
