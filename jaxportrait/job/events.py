"""The events that a job reports: stages, frames, warnings and notes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from jaxportrait.portrait import Frame


@dataclass(frozen=True)
class StageStarted:
    """A stage begins.

    Attributes:
      frames: number of frames it will make; 0 for a stage that makes none.
    """

    name: str
    frames: int = 0


@dataclass(frozen=True)
class FrameDone:
    """One more frame of the stage is done.

    Attributes:
      done: frames done so far.
      total: frames of the stage.
      picture: the frame, for those who watch.
    """

    done: int
    total: int
    picture: Frame | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class StageEnded:
    """A stage has ended without an error.

    Attributes:
      seconds: duration of the stage.
      compile_seconds: part of `seconds` that JAX spent compiling.
      frames: number of frames it made.
    """

    name: str
    seconds: float
    compile_seconds: float
    frames: int = 0


@dataclass(frozen=True)
class JobWarning:
    """A remark that does not stop the job.

    Attributes:
      kind: subject of the remark, for programs.
      message: one line for a user, with the remedy.
    """

    kind: Literal["networks", "detector", "faces", "sound", "level"]
    message: str


@dataclass(frozen=True)
class JobNote:
    """A choice that the job has made, in one line for a user."""

    message: str


Event = StageStarted | FrameDone | StageEnded | JobWarning | JobNote
Notify = Callable[[Event], None]
"""Receives the events of a job, in the thread of the caller."""
