"""Batches of samples cut from clips: Grain over the shards of a data set, whatever its
records hold.

The seed fixes the order of clips, and a clip's sample has its own random key. Both
depend on the position in the endless sequence of samples only. Every process reads its
rows of every global batch, so any number of processes sees the same batches.
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
    """Rows of every global batch that a process reads: `process`, `process +
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
    """Return the endless sequence of this process's batches: a sample of every clip,
    then another of every clip.

    Args:
      dataset: data set to read.
      split: split to read.
      cut: makes a sample of a clip's number and record; `row` is added to it.
      seed: seed of the order and of the samples.
      rows: rows that this process reads.
      shuffle: draws a new order of clips every round; otherwise they keep their order.
    """
    count = dataset.sizes[split].clips
    if count == 0:
        raise DatasetError(
            f"data set {dataset.path} has no {split} clips: process more videos"
        )

    def with_number(index: int, data: bytes) -> tuple[int, Any]:
        # the index keeps counting when the clips repeat
        return index % count, dataset.decode(data)

    def with_row(index: int, sample: Sample) -> Sample:
        return {**sample, "row": np.int32(index % rows.batch_size)}  # pyright: ignore[reportReturnType]

    records = grain.MapDataset.source(dataset.source(split)).seed(seed)  # pyright: ignore[reportArgumentType]
    # Record -> clip -> order -> sample -> rows of this process -> batch.
    clips = records.map_with_index(with_number)
    ordered = clips.shuffle() if shuffle else clips
    samples = ordered.repeat().random_map(cut)
    numbered = samples.map_with_index(with_row)
    # Rows of a batch are dealt out to the processes in turn.
    local = numbered[rows.process :: rows.processes]
    return local.batch(rows.local, drop_remainder=True)


def read_ahead(sequence: grain.MapDataset) -> grain.DatasetIterator:
    """Return an iterator over batches, read ahead by threads; its state is its
    position."""
    return iter(sequence.to_iter_dataset(READING))


def first_batches(sequence: grain.MapDataset, rows: Rows, count: int) -> list[Sample]:
    """Return the first `count` batches, their rows numbered throughout."""
    batches = []
    for index in range(count):
        batch = cast(Sample, sequence[index])
        row = batch["row"] + np.int32(index * rows.batch_size)
        batches.append({**batch, "row": row})
    return batches


def clip_names(dataset: ClipShards[Any], numbers: np.ndarray) -> list[str]:
    """Return the names of clips of the train split."""
    source = dataset.source("train")
    return [dataset.decode(source[number]).clip for number in numbers.tolist()]
