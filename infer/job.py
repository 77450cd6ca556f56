"""One job that somebody waits for: its state, its progress, its end."""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from infer.uploads import Upload
from jaxportrait.console.errors import is_shortage
from jaxportrait.console.output import printable
from jaxportrait.job import Event, FrameDone, JobNote, JobWarning, Notify, StageStarted

Device = TypeVar("Device")
Work = Callable[[Device, Notify], Path]
"""Make a result on a device and return its file; `notify` may raise to end it."""

INTERNAL = "the server has failed at this job: its log says why"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobCancelledError(Exception):
    """Ends a job from within `notify`."""


@dataclass(frozen=True)
class Progress:
    """The state of a job at a moment.

    Attributes:
      state: its state.
      ahead: jobs that start before it, while it waits.
      stage: name of the stage in progress; empty before the first.
      done: frames of the stage that are done.
      total: frames of the stage; 0 where it makes none.
      seconds_left: seconds until the stage's last frame, at the rate of those done; None
        before there is a rate.
      remarks: warnings and notes, a line each.
      error: the reason of a failure in one line; else empty.
    """

    state: JobState
    ahead: int = 0
    stage: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    remarks: tuple[str, ...] = ()
    error: str = ""


@dataclass
class Job(Generic[Device]):
    """A job of a queue, which changes it only under its lock.

    Attributes:
      id: random, so that only its client knows it.
      client: the person or program that waits for it.
      work: the work itself.
      turn: turn of its client; see `JobQueue.submit`.
      uploads: inputs, deleted when it is over.
      names: path of another file -> its name in messages.
    """

    id: str
    client: str
    work: Work[Device]
    turn: int
    uploads: Sequence[Upload] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    state: JobState = JobState.QUEUED
    is_cancelled: bool = False
    stage: str = ""
    done: int = 0
    total: int = 0
    remarks: list[str] = field(default_factory=list)
    error: str = ""
    result: Path | None = None
    stage_start: float = 0.0
    end: float = 0.0

    def note(self, event: Event, clock: float) -> None:
        """Take an event of the work into account."""
        match event:
            case StageStarted(name, frames):
                # Frames are counted from the start of their stage.
                self.stage = name
                self.done = 0
                self.total = frames
                self.stage_start = clock
            case FrameDone(done, total):
                self.done = done
                self.total = total
            case JobWarning(message=message) | JobNote(message=message):
                self.remarks.append(self.with_names(message))

    def fail(self, error: Exception) -> None:
        """Keep the reason of a failure."""
        self.error = self.with_names(explain(error))

    def with_names(self, message: str) -> str:
        """Return a message in which files have the names that their users know."""
        for upload in self.uploads:
            message = upload.name_in(message)
        return replace_paths(message, self.names)

    def seconds_left(self, clock: float) -> float | None:
        """Return the seconds until the stage's last frame; None without a rate."""
        if self.state != JobState.RUNNING or self.done == 0:
            return None
        # The rate so far, which the first frames' compiling makes slower.
        elapsed = clock - self.stage_start
        return elapsed / self.done * (self.total - self.done)


def replace_paths(message: str, names: Mapping[str, str]) -> str:
    """Return a message with a name in place of each path, in the order of `names`."""
    for path, name in names.items():
        message = message.replace(path, name)
    return message


def explain(error: Exception) -> str:
    """Return one line about an error for the person who waits.

    A defect of the program is no concern of theirs: the log gets its traceback.
    """
    # Before the classes of errors: libraries report a shortage by any of them.
    if is_shortage(error):
        return "the server is short of memory: use a smaller file, or try again later"
    if isinstance(error, ValueError | OSError):
        return printable(" ".join(str(error).split()))
    traceback.print_exception(error, file=sys.stderr)
    return INTERNAL
