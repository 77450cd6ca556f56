"""The endless sequence of windows of a data set, or of several that are mixed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Protocol

import numpy as np

from train.data.batches import BatchSource, Rows, Sample
from train.data.dataset import Dataset
from train.data.order import Order, Schedule
from train.data.shards import DatasetError, Split
from train.data.windows import Needs, Place, Window, WindowReader


class Cut(Protocol):
    """Places of a stage's windows, and their batches; it travels to workers."""

    @property
    def frames(self) -> int:
        """Frames that a window reads, as far as the clip has them."""
        ...

    @property
    def needs(self) -> Needs:
        """Parts that are read beside motion and features."""
        ...

    def count(self, frames: int) -> int:
        """Return the number of samples of a clip in a round."""
        ...

    def start(self, frames: int, number: int) -> int:
        """Return the frame of a clip at which the sample of this number starts."""
        ...

    def batch(self, windows: Sequence[Window]) -> Sample:
        """Return windows as a batch."""
        ...


@dataclass(frozen=True)
class WindowDraw:
    """Samples of positions: windows of several data sets in turn.

    `clip` and `start` are added to them: the number of each clip among those of all
    data sets, and the frame at which the window starts.

    Attributes:
      readers: readers of the data sets.
      orders: order of each data set's samples.
      schedule: turns of the data sets.
      cut: places of the windows, and their batches.
    """

    readers: tuple[WindowReader, ...]
    orders: tuple[Order, ...]
    schedule: Schedule
    cut: Cut

    def __call__(self, positions: Sequence[int]) -> Sample:
        chosen = [self._place(position) for position in positions]
        windows: list[Window | None] = [None] * len(chosen)
        for part, reader in enumerate(self.readers):
            rows = [row for row, (number, _) in enumerate(chosen) if number == part]
            places = [chosen[row][1] for row in rows]
            # One reading for the windows of a data set.
            for row, window in zip(
                rows, reader.read(places, self.cut.needs), strict=True
            ):
                windows[row] = window
        # Numbers of clips, for messages.
        clips = [self._offsets[part] + place.clip for part, place in chosen]
        starts = [place.start for _, place in chosen]
        return {
            **self.cut.batch(windows),  # pyright: ignore[reportArgumentType]
            "clip": np.array(clips, np.int32),
            "start": np.array(starts, np.int32),
        }

    @cached_property
    def _offsets(self) -> list[int]:
        """Clips of the data sets before each one."""
        return [0, *accumulate(len(reader.entries) for reader in self.readers)]

    def _place(self, position: int) -> tuple[int, Place]:
        """Return the data set of a position, and the window."""
        part, index = self.schedule.place(position)
        clip, number = self.orders[part].place(index)
        frames = self.readers[part].entries[clip].frames
        start = self.cut.start(frames, number)
        return part, Place(clip, start, start + self.cut.frames)


def sequence(
    dataset: Dataset, split: Split, cut: Cut, seed: int, rows: Rows, *, shuffle: bool
) -> BatchSource:
    """Return the endless sequence of this process's batches.

    Rounds of a data set have each of its samples once, so that clips count by their
    length.

    Args:
      dataset: data set to read, or a mixture of several.
      split: split to read.
      cut: places of the windows, and their batches.
      seed: seed of the order.
      rows: rows that this process reads.
      shuffle: draws a new order every round; otherwise windows keep their order.

    Raises:
      DatasetError: there is no window.
    """
    readers, orders, shares = [], [], []
    for number, (part, share) in enumerate(dataset.parts):
        reader = part.records(split) if part.sizes[split].clips else None
        entries = [] if reader is None else reader.entries
        counts = [cut.count(entry.frames) for entry in entries]
        if reader is not None and sum(counts):
            readers.append(reader)
            orders.append(Order(tuple(counts), seed, shuffle, number))
            shares.append(share)
        # A data set may hold no clips out, but its weight must train something.
        elif split == "train":
            raise DatasetError(
                f"data set {part.path} has no train clips that hold a window: process more videos, or leave it out"
            )
    if not readers:
        raise DatasetError(
            f"data set {dataset.path} has no {split} clips: process more videos"
        )
    schedule = Schedule(tuple(shares))
    draw = WindowDraw(tuple(readers), tuple(orders), schedule, cut)
    return BatchSource(draw, rows)
