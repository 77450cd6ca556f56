"""The progress display of all programs: a bar on a terminal, a line every ten seconds
elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


class Tally:
    """Count of items that are done.

    Attributes:
      total: number of items.
      unit: name of the items, in the plural.
      done: items done.
      frames: frames that these items hold.
      failed: items that failed.
    """

    def __init__(self, total: int, unit: str):
        self.total = total
        self.unit = unit
        self.done = 0
        self.frames = 0
        self.failed = 0
        self._start = time.monotonic()

    def add(self, frames: int, failed: bool) -> None:
        """Count one item with its frames."""
        self.done += 1
        self.frames += frames
        self.failed += failed

    @property
    def facts(self) -> str:
        """Frames per second, and failures where there are any."""
        # Items of evaluations hold no frames.
        facts = []
        if self.frames:
            facts.append(f"{self.frames / max(self._seconds, 1e-9):.1f} frames/s")
        if self.failed:
            facts.append(f"{self.failed} failed")
        return ", ".join(facts)

    @property
    def line(self) -> str:
        """A line with all facts and the time left, for output that is no terminal."""
        remaining = self.total - self.done
        # Items are assumed to take equally long.
        seconds = self._seconds / max(self.done, 1) * remaining
        parts = [f"{self.done} of {self.total} {self.unit}", self.facts]
        parts.append(f"{seconds:.0f} s left")
        return ", ".join(part for part in parts if part)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start


@contextmanager
def show_progress(
    console: Console, total: int, *, unit: str = "clips", transient: bool = False
) -> Iterator[Callable[..., None]]:
    """Show items done, frames per second, failures and the time left.

    Yields a function to call after each item: `advance(frames=0, *, failed=False)`.

    Args:
      total: number of items.
      unit: name of the items, in the plural.
      transient: leave nothing on the screen at the end.
    """
    tally = Tally(total, unit)
    # Files and pipes get lines, since they cannot redraw a bar.
    start_display = _bar if console.is_terminal else _lines
    with start_display(console, tally, transient) as show:

        def advance(frames: int = 0, *, failed: bool = False) -> None:
            tally.add(frames, failed)
            show()

        yield advance


def track(
    items: Iterable[T], total: int, console: Console, *, unit: str
) -> Iterator[T]:
    """Yield the items, and show how many have been worked on."""
    with show_progress(console, total, unit=unit) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def _bar(
    console: Console, tally: Tally, transient: bool
) -> Iterator[Callable[[], None]]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(tally.unit),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=transient) as bar:
        task = bar.add_task(tally.facts, total=tally.total)
        yield lambda: bar.update(task, completed=tally.done, description=tally.facts)


@contextmanager
def _lines(
    console: Console, tally: Tally, transient: bool
) -> Iterator[Callable[[], None]]:
    last = time.monotonic()

    def show() -> None:
        nonlocal last
        waited = time.monotonic() - last
        # A short run gets at least one line.
        is_last = tally.done == tally.total and not transient
        if is_last or waited >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            console.print(tally.line, highlight=False)

    yield show
