"""Keyframes of edits: a TOML file of numbers at times becomes the edits of a clip."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import numpy as np

from jaxportrait.motion.keyframes import KeyframeTable, read_table
from jaxportrait.pipeline.edits import Edits, EditTrack
from jaxportrait.ranges import FrameRate, Positive


@dataclass(frozen=True)
class Keyframes(KeyframeTable):
    """The content of a file of keyframes, whose numbers are those of sliders.

    Attributes:
      fps: frames a second.
      seconds: length of the clip; by default it ends with the last keyframe.
    """

    noun: ClassVar[str] = "slider"

    fps: FrameRate = 30.0
    seconds: Positive | None = None

    @classmethod
    def names(cls) -> list[str]:
        return [item.name for item in fields(Edits)]

    @classmethod
    def check_numbers(cls, numbers: dict[str, float]) -> None:
        # The dataclass knows the range of every slider.
        Edits(**numbers)

    @property
    def length(self) -> float:
        """Duration of the clip in seconds."""
        return super().length if self.seconds is None else self.seconds

    def track(self) -> EditTrack:
        """Return the numbers of every frame."""
        # The last keyframe has a frame of its own.
        count = int(np.floor(self.length * self.fps + 1e-6)) + 1
        # Frame i is shown i / fps seconds after the start.
        times = np.arange(count) / self.fps
        return EditTrack(self.numbers(times), self.fps, count)


def read_keyframes(path: str | Path) -> EditTrack:
    """Read the edits of a clip from a TOML file; see docs/editing.md for its form.

    Raises:
      OSError: the file cannot be read.
      OptionError: it is no TOML, or a table, a name or a number is wrong.
    """
    return read_table(path, Keyframes).track()
