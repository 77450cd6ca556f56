"""What a run shows: a bar while it lasts, a table at its end."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from train.process.manifest import Entry
from train.process.recipe import Outcome
from train.shards import SPLITS, Split

LINE_EVERY = 10.0  # seconds, where there is no terminal


class Tally:
    """Counts outcomes of a run; the rate is of the frames that it makes."""

    def __init__(self, clips: int):
        self.clips, self.done, self.frames, self.failures = clips, 0, 0, 0
        self._start = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        self.done += 1
        self.frames += outcome.entry.frames
        self.failures += outcome.record is None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def rates(self) -> str:
        return f"{self.frames / max(self.seconds, 1e-9):.1f} frames/s, {self.failures} failed"

    @property
    def line(self) -> str:
        left = self.seconds / max(self.done, 1) * (self.clips - self.done)
        return f"{self.done} of {self.clips} clips, {self.rates}, {left:.0f} s left"


@contextmanager
def show_progress(console: Console, clips: int) -> Iterator[Callable[[Outcome], None]]:
    """Show clips, frames a second, failures and time left: a bar on a terminal, a line every 10 s elsewhere."""
    tally = Tally(clips)
    yield_to = _show_bar if console.is_terminal else _show_lines
    with yield_to(console, tally) as show:

        def advance(outcome: Outcome) -> None:
            tally.add(outcome)
            show()

        yield advance


@contextmanager
def _show_bar(console: Console, tally: Tally) -> Iterator[Callable[[], None]]:
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("clips, {task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(tally.rates, total=tally.clips)
        yield lambda: bar.update(task, advance=1, description=tally.rates)


@contextmanager
def _show_lines(console: Console, tally: Tally) -> Iterator[Callable[[], None]]:
    told, said = 0, time.monotonic()

    def say() -> None:
        nonlocal told, said
        told, said = tally.done, time.monotonic()
        console.print(tally.line, highlight=False)

    yield lambda: say() if time.monotonic() - said >= LINE_EVERY else None
    if told < tally.done:
        say()


Facts = Mapping[Split, Mapping[str, str]]
"""What is to be said of each split, by name."""


def tables(facts: Facts, entries: Sequence[Entry]) -> Iterable[Table]:
    """What the splits hold, and why clips were left out."""
    yield split_table(facts, entries)
    if any(entry.reason for entry in entries):
        yield failure_table(entries)


def split_table(facts: Facts, entries: Sequence[Entry]) -> Table:
    table = Table("split", "subjects", *facts["train"])
    for split in SPLITS:
        subjects = {entry.subject for entry in entries if split in entry.splits}
        table.add_row(split, str(len(subjects)), *facts[split].values())
    return table


def failure_table(entries: Sequence[Entry]) -> Table:
    """Clips left out, an example a reason; the manifest has them all."""
    reasons = Counter(entry.reason.replace(entry.clip, "...") for entry in entries if entry.reason)
    examples = {entry.reason.replace(entry.clip, "..."): entry.clip for entry in entries if entry.reason}
    table = Table("left out", "reason", "such as")
    for reason, count in reasons.most_common():
        table.add_row(str(count), reason, examples[reason])
    return table
