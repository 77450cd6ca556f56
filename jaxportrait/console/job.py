"""The display of a job: a bar for its frames, a line for every other event."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from rich.console import Console

from jaxportrait.console.output import printable
from jaxportrait.console.progress import show_progress
from jaxportrait.console.words import as_options
from jaxportrait.job import (
    ClipFile,
    Event,
    FrameDone,
    JobNote,
    JobWarning,
    StageEnded,
    StageStarted,
)
from jaxportrait.media.write import choose_container, has_suffix

SHORTEST_COMPILATION = 0.05
"""Seconds of compilation that are worth a word."""


class JobDisplay:
    """Prints the events of a job to stderr; a context, which clears its bar at the
    end."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, markup=False)
        self._bar = ExitStack()
        self._advance: Callable[..., None] = lambda frames: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # An error must not leave the terminal without its cursor.
        self._bar.close()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case StageStarted(frames=frames) if frames:
                # A job before may have raised within its stage.
                self._bar.close()
                bar = show_progress(
                    self._console, frames, unit="frames", transient=True
                )
                self._advance = self._bar.enter_context(bar)
            case FrameDone():
                self._advance(frames=1)
            case StageEnded():
                self._bar.close()
                self._print(summarize(event))
            case JobWarning():
                self._print(f"warning: {as_options(event.message)}")
            case JobNote():
                self._print(as_options(event.message))

    def show_file(self, clip: ClipFile) -> None:
        """Say what a job has written."""
        width, height = clip.size
        facts = f"{width}x{height}"
        # A picture has no duration, and a folder of pictures no suffix.
        is_picture = has_suffix(clip.path) and choose_container(clip.path).is_still
        if not is_picture:
            facts = f"{clip.seconds:.1f} s, {facts}"
        self._print(f"wrote {clip.path} ({facts})")

    def _print(self, line: str) -> None:
        line = printable(line)
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def summarize(stage: StageEnded) -> str:
    """Return a stage's duration in a line, with its compilation and rate of frames."""
    name = stage.name
    if stage.frames:
        name = f"{name} {stage.frames} frames"
    line = f"{name}: {stage.seconds:.1f} s"
    if stage.compile_seconds >= SHORTEST_COMPILATION:
        line += f" ({stage.compile_seconds:.1f} s of it compiling)"
    if stage.frames:
        # The first frame waits for the compiler, which later runs do not.
        rate = stage.frames / max(stage.seconds - stage.compile_seconds, 1e-9)
        line += f", {rate:.2f} frames/s after compiling"
    return line
