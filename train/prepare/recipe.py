"""Work on clips, independent of their records: a recipe describes it, and the recipe's
extractor, made once a worker, does it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self

import tyro

from jaxportrait.media.faces import Detector, DetectorName, open_detector
from jaxportrait.ranges import Positive, Range
from train.data.clips import Clip
from train.data.shards import pack
from train.prepare.manifest import Entry
from train.prepare.quality.evidence import Evidence
from train.prepare.quality.shots import CutLimits

EXTRACTION = 3
"""Part of every fingerprint; raised when the same files give other records."""


class ExtractorError(ValueError):
    """An extractor that cannot be loaded, so that no clip can be processed."""


class Record(Protocol):
    """The stored form of a clip: a dataclass of arrays."""

    @property
    def frames(self) -> int: ...


@dataclass(frozen=True)
class Outcome:
    """The fate of a clip; its packed record and evidence unless it was left out."""

    entry: Entry
    record: bytes | None
    evidence: bytes = b""


@dataclass(frozen=True)
class Recipe(ABC):
    """Everything that determines a clip's record; it travels to the workers.

    Attributes:
      description: file that marks a complete data set.
      least_frames: shortest record that is of use.
      frame_step: frames are divided between train and validation at multiples of it.
    """

    description: ClassVar[str]
    least_frames: ClassVar[int]
    frame_step: ClassVar[int]

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a name for the recipe: equal names give equal records."""

    @abstractmethod
    def files(self, clip: Clip) -> tuple[Path, ...]:
        """Return the files that a clip's record is made of."""

    @abstractmethod
    def extractor(self) -> "ClipExtractor":
        """Load the networks and the detector, and return the worker that uses them."""

    def remarks(self) -> list[str]:
        """Return lines for the user about choices that the recipe makes."""
        return []

    def with_absolute_paths(self) -> Self:
        """Return the recipe with paths that hold in every process of a cluster."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        paths = {
            name: value.absolute()
            for name, value in values.items()
            if isinstance(value, Path)
        }
        return replace(self, **paths)


@dataclass(frozen=True, kw_only=True)
class FaceRecipe(Recipe, ABC):
    """A recipe for which faces are detected.

    Attributes:
      detector: face detector; `none` for videos already cropped.
      detector_models: folder of the detector's files.
      scene_cut: mean difference between two pictures that cuts a clip there, in levels
        of 0 to 255.
      zoom_cut: jump of the face's size that cuts a clip, as a ratio.
      jump_cut: jump of the face's place that cuts a clip, in sizes of the face.
    """

    detector: DetectorName = "auto"
    detector_models: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    scene_cut: Positive = 10.0
    zoom_cut: Annotated[float, Range(above=1)] = 1.15
    jump_cut: Positive = 0.25

    @property
    def cut_limits(self) -> CutLimits:
        return CutLimits(self.scene_cut, self.zoom_cut, self.jump_cut)

    def open_detector(self) -> Detector:
        """Open the detector."""
        return open_detector(self.detector, self.detector_models)

    def crop_detector(self) -> str | None:
        """Return the name of the detector that makes the crops; None for videos that
        are already cropped."""
        detector = self.open_detector()
        return None if detector.keeps_crop else detector.name

    def remarks(self) -> list[str]:
        # The user has not named it.
        return [self.open_detector().summary] if self.detector == "auto" else []

    def face_facts(self) -> list[Any]:
        """Return the facts about detector and cuts for a fingerprint."""
        detector = [self.open_detector().name, str(self.detector_models)]
        return [*detector, self.scene_cut, self.zoom_cut, self.jump_cut]


class ClipExtractor(ABC):
    """A worker that makes records of clips."""

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._remarks: list[str] = []
        self._columns: dict[str, Any] = {}
        self._evidence = Evidence()

    def remark(self, flaw: str) -> None:
        """Note a flaw of the clip whose record is being made."""
        self._remarks.append(flaw)

    def note(self, **columns: Any) -> None:
        """Note columns of the manifest about the clip whose record is being made."""
        self._columns.update(columns)

    def keep(self, evidence: Evidence) -> None:
        """Keep evidence about the clip whose record is being made."""
        self._evidence = evidence

    @abstractmethod
    def record(self, clip: Clip) -> tuple[Record, float]:
        """Return the clip's record, and the seconds of the clip that it covers.

        Raises:
          ValueError, OSError: the clip cannot be used.
        """

    def extract(self, clip: Clip) -> Outcome:
        """Return the clip's record, or why there is none.

        One clip must not stop thousands, so every error is an outcome.
        """
        self._remarks.clear()
        self._columns.clear()
        self._evidence = Evidence()
        try:
            record, seconds = self.record(clip)
            checksum = file_checksum(self._recipe.files(clip))
        except Exception as error:
            outcome = failure(clip, error)
            # what was measured before the error
            return replace(outcome, entry=replace(outcome.entry, **self._columns))
        entry = _entry(clip, record.frames, seconds, checksum)
        remark = "; ".join(self._remarks)
        entry = replace(entry, remark=remark, **self._columns)
        return Outcome(entry, pack(record), pack(self._evidence))


def load_extractor(recipe: Recipe) -> ClipExtractor:
    """Load the recipe's extractor.

    Raises:
      ExtractorError: it cannot be loaded, whatever the reason.
    """
    try:
        return recipe.extractor()
    except Exception as error:
        raise ExtractorError(f"no clip can be worked on: {_one_line(error)}") from error


def failure(clip: Clip, error: Exception) -> Outcome:
    """Return the outcome of a clip that was left out."""
    # messages are the same wherever the videos lie
    root = _squeeze(str(clip.video).removesuffix(clip.name))
    reason = _one_line(error).replace(root, "")
    return Outcome(_entry(clip, 0, 0.0, "", reason), None)


def _one_line(error: Exception) -> str:
    """Return an error's message; an unforeseen error is named by its type."""
    text = _squeeze(str(error)) or "no message"
    if isinstance(error, (ValueError, OSError)):
        return text
    return f"{type(error).__name__}: {text}"


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def file_checksum(files: Iterable[Path]) -> str:
    """Return the SHA-256 of files, one after the other; a repeated file counts once."""
    digest = hashlib.sha256()
    # a video with its own sound is one file
    for path in dict.fromkeys(files):
        with path.open("rb") as file:
            # large videos are not held
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
