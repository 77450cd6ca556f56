"""Work on clips, whatever their records hold: a recipe says how, and its extractor,
made once a worker, does it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from train.data.clips import Clip
from train.data.shards import pack
from train.prepare.manifest import Entry


class ExtractorError(ValueError):
    """What the work on every clip needs cannot be had, so that none can be worked
    on."""


class Record(Protocol):
    """What is kept of a clip: a dataclass of arrays."""

    @property
    def frames(self) -> int: ...


@dataclass(frozen=True)
class Outcome:
    """What became of a clip, and the whole of it as a packed record, unless it was left
    out."""

    entry: Entry
    record: bytes | None


class Recipe(ABC):
    """All that decides what a clip's record holds; it travels to the workers.

    Attributes:
      description: the file by which the data set is known to be complete.
      least_frames: of which something can be learned.
      most_frames: of a record that trains, where there is a limit: of every record one
        sample is drawn a round, and a sample is read with its whole record.
      frame_step: frames are divided between train and validation at multiples of it.
    """

    description: ClassVar[str]
    least_frames: ClassVar[int]
    most_frames: ClassVar[int | None] = None
    frame_step: ClassVar[int]

    @abstractmethod
    def fingerprint(self) -> str:
        """A name for the recipe: equal ones give equal records."""

    @abstractmethod
    def files(self, clip: Clip) -> tuple[Path, ...]:
        """The files that a clip's record is made of."""

    @abstractmethod
    def extractor(self) -> "ClipExtractor":
        """Load what the work needs."""


class ClipExtractor(ABC):
    """Makes records of clips."""

    def __init__(self, recipe: Recipe):
        self._recipe = recipe

    @abstractmethod
    def record(self, clip: Clip) -> tuple[Record, float]:
        """The clip's record, and the seconds of the clip that it covers.

        Raises:
          ValueError, OSError: the clip cannot be used.
        """

    def extract(self, clip: Clip) -> Outcome:
        """The clip's record, or why there is none: one clip must not stop thousands,
        whatever is wrong with it."""
        try:
            record, seconds = self.record(clip)
            checksum = file_checksum(self._recipe.files(clip))
        except Exception as error:
            return failure(clip, error)
        return Outcome(_entry(clip, record.frames, seconds, checksum), pack(record))


def load_extractor(recipe: Recipe) -> ClipExtractor:
    """The recipe's extractor.

    Raises:
      ExtractorError: it cannot be made, whatever the reason.
    """
    try:
        return recipe.extractor()
    except Exception as error:
        raise ExtractorError(f"no clip can be worked on: {_one_line(error)}") from error


def failure(clip: Clip, error: Exception) -> Outcome:
    """The outcome of a clip that was left out."""
    root = _squeezed(str(clip.video).removesuffix(clip.name))
    return Outcome(_entry(clip, 0, 0.0, "", _one_line(error).replace(root, "")), None)


def _one_line(error: Exception) -> str:
    """What an error says; one that nobody foresaw is named by its type."""
    text = _squeezed(str(error)) or "no message"
    return (
        text
        if isinstance(error, (ValueError, OSError))
        else f"{type(error).__name__}: {text}"
    )


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def file_checksum(files: Iterable[Path]) -> str:
    """SHA-256 of files, one after the other."""
    digest = hashlib.sha256()
    for path in dict.fromkeys(files):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _entry(
    clip: Clip, frames: int, seconds: float, checksum: str, reason: str = ""
) -> Entry:
    return Entry(
        clip.name,
        clip.subject,
        clip.emotion,
        clip.level,
        frames,
        round(seconds, 3),
        checksum,
        reason=reason,
    )
