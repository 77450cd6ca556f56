"""What a run over clips shows while it lasts: a bar on a terminal, a line every ten
seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 10.0


class Tally:
    """Clips that are done, the frames they gave, and how many failed."""

    def __init__(self, clips: int):
        self.clips, self.done, self.frames, self.failed = clips, 0, 0, 0
        self._start = time.monotonic()

    def add(self, frames: int, failed: bool) -> None:
        self.done, self.frames, self.failed = (
            self.done + 1,
            self.frames + frames,
            self.failed + failed,
        )

    @property
    def rates(self) -> str:
        rate = f"{self.frames / max(self._seconds, 1e-9):.1f} frames/s"
        return f"{rate}, {self.failed} failed" if self.failed else rate

    @property
    def line(self) -> str:
        left = self._seconds / max(self.done, 1) * (self.clips - self.done)
        return f"{self.done} of {self.clips} clips, {self.rates}, {left:.0f} s left"

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._start


@contextmanager
def show_progress(console: Console, clips: int) -> Iterator[Callable[..., None]]:
    """Show clips, frames a second, failures and time left.

    Gives what is to be called after each clip: with the count of its frames, and with
    `failed` where it has none.
    """
    tally = Tally(clips)
    with (_bar if console.is_terminal else _lines)(console, tally) as show:

        def advance(frames: int, *, failed: bool = False) -> None:
            tally.add(frames, failed)
            show()

        yield advance


@contextmanager
def _bar(console: Console, tally: Tally) -> Iterator[Callable[[], None]]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("clips, {task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(tally.rates, total=tally.clips)
        yield lambda: bar.update(task, completed=tally.done, description=tally.rates)


@contextmanager
def _lines(console: Console, tally: Tally) -> Iterator[Callable[[], None]]:
    said = time.monotonic()

    def show() -> None:
        nonlocal said
        if (
            tally.done == tally.clips
            or time.monotonic() - said >= SECONDS_BETWEEN_LINES
        ):
            said = time.monotonic()
            console.print(tally.line, highlight=False)

    yield show
