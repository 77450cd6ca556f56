"""Windows of clips, by number: where they start, and how a data set reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float16, Float32, Int16

from train.data.records import (
    ClipRecord,
    Label,
    feature_at,
    features_needed,
    sample_at,
    samples_needed,
)
from train.data.shards import DatasetError, DecodedRecords


@dataclass(frozen=True)
class ClipEntry:
    """Facts about a stored clip that are known without reading it.

    Attributes:
      clip: path of the video below the data set's root, with slashes.
      frames: number of frames.
      quietest: frame whose sound is the quietest.
      has_sound: True if its sound is stored.
      labels: conditions of the clip by name; may be empty.
    """

    clip: str
    frames: int
    quietest: int
    has_sound: bool
    labels: dict[str, Label] = field(default_factory=dict)

    @classmethod
    def of(cls, record: ClipRecord) -> "ClipEntry":
        """Return the entry of a clip's record."""
        # An empty envelope has no least value.
        quietest = int(record.envelope.argmin()) if record.frames else 0
        has_sound = record.sound is not None
        labels = dict(record.labels)
        return cls(record.clip, record.frames, quietest, has_sound, labels)


@dataclass(frozen=True)
class Place:
    """Frames `start` to `stop` of a clip, by its number; `start` is a multiple of 3."""

    clip: int
    start: int
    stop: int


@dataclass(frozen=True)
class Window:
    """Frames of a clip, which may end before the window does.

    Attributes:
      clip: name of the clip.
      start: frame of the clip's record at which the window starts.
      motion_parts: all values of each frame, in parts that follow each other.
      feature_parts: audio features that cover the frames, likewise.
      labels: conditions of the clip by name; may be empty.
      sound: 16-kHz sound that covers the frames; None unless it is asked for.
      silence: feature of the clip's quietest frame; None unless it is asked for.
    """

    clip: str
    start: int
    motion_parts: Sequence[Float32[np.ndarray, "n 70"]]
    feature_parts: Sequence[Float16[np.ndarray, "m width"]]
    labels: Mapping[str, Label]
    sound: Int16[np.ndarray, " samples"] | None = None
    silence: Float16[np.ndarray, " width"] | None = None

    @property
    def motion(self) -> Float32[np.ndarray, "frames 70"]:
        """All values of each frame."""
        return np.concatenate(self.motion_parts)

    @property
    def features(self) -> Float16[np.ndarray, "features width"]:
        """Audio features that cover the frames."""
        return np.concatenate(self.feature_parts)


@dataclass(frozen=True)
class Needs:
    """Parts of a window that are read beside its motion and features."""

    sound: bool = False
    silence: bool = False


class WindowReader(Protocol):
    """The clips of a split, and their windows; it travels to worker processes."""

    @property
    def entries(self) -> Sequence[ClipEntry]:
        """Facts about every clip, in the order on disk."""
        ...

    def read(self, places: Sequence[Place], needs: Needs) -> list[Window]:
        """Read windows.

        Raises:
          DatasetError: a record of them is damaged; the message names its file.
        """
        ...

    def __getitem__(self, number: int) -> ClipRecord:
        """Read a whole clip."""
        ...


@dataclass(frozen=True)
class WholeRecords(DecodedRecords[ClipRecord]):
    """The clips of formats 1 and 2, whose windows cost the reading of a whole record.

    All records are read once, to learn their lengths.
    """

    @cached_property
    def entries(self) -> Sequence[ClipEntry]:
        return [ClipEntry.of(self[number]) for number in range(len(self.source))]

    def read(self, places: Sequence[Place], needs: Needs) -> list[Window]:
        """Read windows; see `WindowReader` for details."""
        return [cut_window(self[place.clip], place, needs) for place in places]


def cut_window(record: ClipRecord, place: Place, needs: Needs) -> Window:
    """Cut a window out of a whole clip."""
    # A window may reach beyond its clip.
    stop = min(place.stop, record.frames)
    frames = stop - place.start
    feature = feature_at(place.start)
    # Copies: a view would keep the whole record until its batch is stacked.
    features = record.features[feature : feature + features_needed(frames)].copy()
    if len(features) < features_needed(frames):
        raise DatasetError(
            f"clip {record.clip} has {len(record.features)} audio features for {record.frames} frames: "
            "process the videos again"
        )
    extras: dict[str, Any] = {}
    if needs.sound and record.sound is not None:
        sample = sample_at(place.start)
        stop_sample = sample + samples_needed(frames)
        extras["sound"] = record.sound[sample:stop_sample].copy()
    if needs.silence:
        quietest = feature_at(int(record.envelope.argmin()))
        extras["silence"] = record.features[quietest].copy()
    motion = record.motion[place.start : stop].copy()
    return Window(
        record.clip, place.start, [motion], [features], record.labels, **extras
    )
