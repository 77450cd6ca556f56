"""A recipe without networks, whose extractor or clips fail as they are told to, for
tests of who does the work."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from train.data.clips import Clip
from train.prepare.recipe import ClipExtractor, Recipe

LIMIT = 100
"""Open files of a worker, at most."""


def clip_of(name: str) -> Clip:
    return Clip(name, Path(__file__), Path(__file__), "subject")


@dataclass(frozen=True)
class Named:
    """A record of nothing but a clip's name."""

    clip: str
    frames: int = 1


@dataclass(frozen=True)
class NameRecipe(Recipe):
    """Records names; the extractor of a `broken` one raises an error, that of a `fatal`
    one ends its process."""

    description: ClassVar[str] = "names.json"
    least_frames: ClassVar[int] = 1
    frame_step: ClassVar[int] = 1

    kind: Literal["sound", "broken", "fatal"] = "sound"

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
    """Is killed by a clip named `deadly`; hangs up at one named `last`, and then takes
    a while to end."""

    def record(self, clip: Clip) -> tuple[Named, float]:
        if clip.name == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if clip.name == "last":
            os.closerange(3, LIMIT)
            time.sleep(0.3)
            os._exit(3)
        return Named(clip.name), 1.0
