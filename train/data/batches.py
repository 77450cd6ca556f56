"""Batches of samples cut from clips, read ahead by Grain.

A batch is a function of its number and the seed. So threads and any number of worker
processes read the same batches, and a run resumes from a number. Of several processes
that train, each reads its rows of every global batch.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grain
import numpy as np
from absl.flags import FLAGS
from jaxtyping import Int64

from train.data.parents import FULL, explain_end, signals_wait, start_worker
from train.data.shards import ClipShards, DatasetError

Sample = Mapping[str, np.ndarray]
Draw = Callable[[Sequence[int]], Sample]
"""draw(positions) -> the samples of these positions, stacked. It travels to worker
processes."""

MOST_BATCHES = 2**31 - 1
"""A run has fewer updates."""
THREADS = grain.ReadOptions(num_threads=4, prefetch_buffer_size=8)
"""Reading within the process that trains."""
WORKER_THREADS = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
WORKER_BATCHES = 2
"""Batches that a worker process reads ahead."""


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


@dataclass(frozen=True)
class BatchSource:
    """The batches of a process by number, as Grain reads them.

    `row` is added to them: the place of each sample in the global batch.

    Attributes:
      draw: makes the samples of positions.
      rows: rows that this process reads.
      first: number of the batch that counts as the first.
    """

    draw: Draw
    rows: Rows
    first: int = 0

    def __len__(self) -> int:
        return MOST_BATCHES - self.first

    def __getitem__(self, number: int) -> Sample:
        rows = self.rows
        # Rows of a batch are dealt out to the processes in turn.
        row = np.arange(rows.process, rows.batch_size, rows.processes, dtype=np.int32)
        start = (self.first + number) * rows.batch_size
        positions = start + row.astype(np.int64)
        return {**self.draw(positions.tolist()), "row": row}


class Batches:
    """An endless iterator over batches, read ahead; its state is a batch's number.

    Args:
      source: batches by number.
      workers: processes that read; 0 for threads of this process.
    """

    def __init__(self, source: BatchSource, workers: int = 0):
        self._source = source
        self._workers = workers
        self._number = 0
        self._iterator: grain.DatasetIterator | None = None

    def __next__(self) -> Sample:
        if self._iterator is None:
            # Grain starts its workers with the first batch.
            with signals_wait():
                self._iterator = self._open()
                batch = self._read(self._iterator)
        else:
            batch = self._read(self._iterator)
        self._number += 1
        return batch

    def _read(self, iterator: grain.DatasetIterator) -> Sample:
        """Read the next batch; raise a DatasetError if a worker process has ended."""
        try:
            return next(iterator)
        except RuntimeError as error:
            reason = explain_end(error)
            if reason is None:
                raise
            raise DatasetError(reason) from error
        except OSError as error:
            # Workers write nothing but batches, into shared memory.
            if self._workers == 0 or error.errno != errno.ENOSPC:
                raise
            raise DatasetError(FULL) from error

    def get_state(self) -> dict[str, Any]:
        """Return the position, as JSON keeps it."""
        return {"batch": self._number}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a position.

        Raises:
          DatasetError: it is of a version that read other batches.
        """
        if "batch" not in state:
            raise DatasetError(
                "this run was saved by a version that read its data in another order: continue it with that "
                "version, or start a new run from its weights"
            )
        self.close()
        self._number = state["batch"]

    def close(self) -> None:
        """End the worker processes."""
        if self._iterator is not None:
            self._iterator.close()
        self._iterator = None

    def _open(self) -> grain.DatasetIterator:
        # Grain counts from 0, whatever the first batch is.
        source = replace(self._source, first=self._source.first + self._number)
        batches = grain.MapDataset.source(source)  # pyright: ignore[reportArgumentType]
        if self._workers == 0:
            return iter(batches.to_iter_dataset(THREADS))
        # Grain's own options are absl's, which no program here parses.
        if not FLAGS.is_parsed():
            FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(self._workers, WORKER_BATCHES)
        ahead = batches.to_iter_dataset(WORKER_THREADS)
        return iter(ahead.mp_prefetch(options, start_worker))


def first_batches(source: BatchSource, count: int) -> list[Sample]:
    """Return the first `count` batches, their rows numbered throughout."""
    batches = []
    for number in range(count):
        batch = source[number]
        row = batch["row"] + np.int32(number * source.rows.batch_size)
        batches.append({**batch, "row": row})
    return batches


def stack(samples: Sequence[Sample]) -> Sample:
    """Return samples as the rows of a batch."""
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def clip_names(dataset: ClipShards[Any], numbers: Int64[np.ndarray, " n"]) -> list[str]:
    """Return the names of clips of the train split."""
    records = dataset.records("train")
    return [records[number].clip for number in numbers.tolist()]
