"""What the program says while it works: bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

COMPILE_EVENTS = (
    "/jax/core/compile/backend_compile_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
)
SECONDS_BETWEEN_LINES = 10.0


class Reporter:
    """Says what is being done and how long it took, with the time spent compiling
    apart.

    Args:
      check: called after each stage and frame, to raise what must end the program.
    """

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self.check, self.console = check, Console(stderr=True)
        self.compile_seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._count)

    def _count(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event in COMPILE_EVENTS:
            self.compile_seconds += duration_secs

    def warn(self, message: str) -> None:
        self.console.print(
            f"warning: {message}", highlight=False, markup=False, soft_wrap=True
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and say so when it is done."""
        start, compiled = time.perf_counter(), self.compile_seconds
        yield
        self.check()
        self._done(name, time.perf_counter() - start, self.compile_seconds - compiled)

    @contextmanager
    def frames(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        """Count frames: gives what is to be called after each."""
        start, compiled = time.perf_counter(), self.compile_seconds
        count = _bar if self.console.is_terminal else _lines
        with count(self.console, name, total) as advance:

            def on_frame() -> None:
                self.check()
                advance()

            yield on_frame
        seconds, compiling = (
            time.perf_counter() - start,
            self.compile_seconds - compiled,
        )
        rate = total / max(seconds - compiling, 1e-9)
        self._done(
            f"{name} {total} frames",
            seconds,
            compiling,
            f", {rate:.2f} frames/s after compiling",
        )

    def _done(
        self, name: str, seconds: float, compiling: float, more: str = ""
    ) -> None:
        compiled = f" ({compiling:.1f} s of it compiling)" if compiling >= 0.05 else ""
        self.console.print(
            f"{name}: {seconds:.1f} s{compiled}{more}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@contextmanager
def _bar(console: Console, name: str, total: int) -> Iterator[Callable[[], None]]:
    columns = (
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield lambda: progress.advance(task)


@contextmanager
def _lines(console: Console, name: str, total: int) -> Iterator[Callable[[], None]]:
    done, said = 0, time.perf_counter()

    def advance() -> None:
        nonlocal done, said
        done += 1
        if time.perf_counter() - said > SECONDS_BETWEEN_LINES:
            said = time.perf_counter()
            console.print(
                f"{name}: {done} of {total} frames",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

    yield advance


class RateColumn(ProgressColumn):
    """Frames a second, once there are some."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f} frames/s")
