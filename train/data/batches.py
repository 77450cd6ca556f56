"""Batches of samples cut from clips: Grain over the shards of a data set, whatever its
records hold.

The order of clips follows from the seed and a clip's sample from its own random key,
both by position in the endless sequence of samples. Every process takes its rows of
every global batch, so any number of processes sees the same ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import grain
import numpy as np

from train.data.shards import ClipShards, DatasetError, Split

Sample = Mapping[str, np.ndarray]
READING = grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)


@dataclass(frozen=True)
class Rows:
    """Which rows of every global batch a process reads: `process`, `process +
    processes` and so on."""

    batch_size: int
    process: int = 0
    processes: int = 1

    @property
    def local(self) -> int:
        return self.batch_size // self.processes


def sequence(
    dataset: ClipShards[Any],
    split: Split,
    cut: grain.transforms.RandomMap,
    seed: int,
    rows: Rows,
    *,
    shuffle: bool,
) -> grain.MapDataset:
    """The endless sequence of this process's batches: a sample of every clip, then
    another of every clip.

    Args:
      cut: makes a sample of a clip's number and record; `row` is added to it.
      shuffle: the clips anew every time round; otherwise they keep their order.
    """
    count = dataset.sizes[
        split
    ].clips  # an index goes on counting when the clips come round again
    if count == 0:
        raise DatasetError(
            f"data set {dataset.path} has no {split} clips: process more videos"
        )
    records = grain.MapDataset.source(_source(dataset, split)).seed(seed)  # pyright: ignore[reportArgumentType]
    clips = records.map_with_index(
        lambda index, data: (index % count, dataset.decode(data))
    )
    samples = (clips.shuffle() if shuffle else clips).repeat().random_map(cut)
    numbered = samples.map_with_index(
        lambda index, sample: {**sample, "row": np.int32(index % rows.batch_size)}
    )
    return numbered[rows.process :: rows.processes].batch(
        rows.local, drop_remainder=True
    )


def read_ahead(sequence: grain.MapDataset) -> grain.DatasetIterator:
    """An iterator over batches, read ahead by threads; its state says where it is."""
    return iter(sequence.to_iter_dataset(READING))


def first_batches(sequence: grain.MapDataset, rows: Rows, count: int) -> list[Sample]:
    """The first `count` batches, their rows numbered throughout."""
    found = [cast(Sample, sequence[index]) for index in range(count)]
    return [
        {**batch, "row": batch["row"] + np.int32(index * rows.batch_size)}
        for index, batch in enumerate(found)
    ]


def clip_names(dataset: ClipShards[Any], numbers: np.ndarray) -> list[str]:
    """The names of clips of the train split."""
    source = _source(dataset, "train")
    return [dataset.decode(source[number]).clip for number in numbers.tolist()]


def _source(
    dataset: ClipShards[Any], split: Split
) -> grain.sources.ArrayRecordDataSource:
    return grain.sources.ArrayRecordDataSource(
        [str(shard) for shard in dataset.shards(split)]
    )
