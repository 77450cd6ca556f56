"""What a run shows: a bar on a terminal, a line every ten seconds elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def show_progress(console: Console, clips: int) -> Iterator[Callable[[int], None]]:
    """Show clips done and frames a second; gives what is to be called with the frames of each clip."""
    start, done, frames = time.monotonic(), 0, 0
    with (_bar if console.is_terminal else _lines)(console, clips) as show:

        def advance(count: int) -> None:
            nonlocal done, frames
            done, frames = done + 1, frames + count
            show(done, f"{frames / max(time.monotonic() - start, 1e-9):.1f} frames/s")

        yield advance


@contextmanager
def _bar(console: Console, clips: int) -> Iterator[Callable[[int, str], None]]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("clips, {task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=clips)
        yield lambda done, rate: progress.update(task, completed=done, description=rate)


@contextmanager
def _lines(console: Console, clips: int) -> Iterator[Callable[[int, str], None]]:
    said = time.monotonic()

    def show(done: int, rate: str) -> None:
        nonlocal said
        if done == clips or time.monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            console.print(f"{done} of {clips} clips, {rate}", highlight=False)

    yield show
