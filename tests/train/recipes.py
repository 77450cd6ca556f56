"""A recipe without networks, whose extractor or clips fail on demand, for tests of the
engines that do the work."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from train.data.clips import Clip
from train.prepare.recipe import ClipExtractor, Recipe

LIMIT = 100
"""Most open files of a worker."""
BROKEN = "no clip can be worked on: RuntimeError: no memory for networks"
"""Message of an extractor that cannot be loaded."""


def clip_of(name: str) -> Clip:
    return Clip(name, Path(__file__), Path(__file__), "subject")


@dataclass(frozen=True)
class Named:
    """A record with a clip's name only."""

    clip: str
    frames: int = 1


@dataclass(frozen=True)
class NameRecipe(Recipe):
    """Records names; the extractor of a `broken` recipe raises an error, that of a
    `fatal` one ends its process."""

    description: ClassVar[str] = "names.json"
    least_frames: ClassVar[int] = 1
    frame_step: ClassVar[int] = 1

    kind: Literal["sound", "broken", "fatal"] = "sound"

    def check(self) -> None:
        pass

    def fingerprint(self) -> str:
        return "names"

    def files(self, clip: Clip) -> tuple[Path, ...]:
        return (clip.video,)

    def extractor(self) -> "NameExtractor":
        if self.kind == "broken":
            raise RuntimeError("no memory\nfor networks")
        if self.kind == "fatal":
            os._exit(7)
        return NameExtractor(self)


class NameExtractor(ClipExtractor):
    """An extractor that a clip named `deadly` kills, and that hangs up at a clip named
    `last`, which ends its process a while later. A clip named `sleepy` takes long."""

    def record(self, clip: Clip) -> tuple[Named, float]:
        if clip.name == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if clip.name == "last":
            os.closerange(3, LIMIT)
            time.sleep(0.3)
            os._exit(3)
        if clip.name == "sleepy":
            time.sleep(2)
        return Named(clip.name), 1.0
