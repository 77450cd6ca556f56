"""The contract between processing and training: where processed clips lie on disk.

A data set is a folder of ArrayRecord shards with clips in blocks of a second (see
`train.data.blocks`; formats 1 and 2 have one record a clip), with `dataset.json` (a
description), `statistics.json` (mean and deviation of the motion over the train split)
and `manifest.jsonl` (every clip of the source, with its fate).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float64

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    MOTION_WIDTH,
    MotionStatistics,
)
from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND, SAMPLE_RATE
from jaxportrait.ranges import Finite, Natural, Range, Width, check_ranges
from train.data.blocks import ClipBlocks
from train.data.landmarks import LandmarkGroups
from train.data.records import ClipRecord, decode_record
from train.data.shards import (
    SPLITS,
    ClipShards,
    DatasetError,
    Split,
    SplitSize,
    open_clips,
    read_json,
    require_shape,
    write_json,
)
from train.data.source import RecordSource
from train.data.windows import WholeRecords

DESCRIPTION = "dataset.json"
STATISTICS = "statistics.json"
FORMAT = 3
"""Format of the data sets that are written: clips in blocks of a second."""
READABLE_FORMATS = (1, 2, 3)
"""Formats that are read; 1 and 2 have one record a clip."""

# opening such a data set with other constants would misplace its frames
RATES = {
    "motion_fps": MOTION_FPS,
    "motion_width": MOTION_WIDTH,
    "features_per_second": FEATURES_PER_SECOND,
    "sound_rate": SAMPLE_RATE,
}
"""Constants of every data set of this format."""


@dataclass(frozen=True)
class WindowSplitSize(SplitSize):
    """Contents of a split, with its windows counted at every start that training may
    choose."""

    windows: Natural


@dataclass(frozen=True)
class Description:
    """Contents of `dataset.json`; see `Dataset` for the attributes."""

    format: int
    motion_fps: int
    motion_width: int
    features_per_second: int
    motion_space: str
    feature_width: Width
    audio_encoder: str
    splits: dict[Split, WindowSplitSize]
    sound_rate: int = SAMPLE_RATE
    landmark_groups: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.motion_space not in MOTION_SPACES:
            raise ValueError(
                f"motion_space is {self.motion_space!r}, and there are {', '.join(MOTION_SPACES)}"
            )


@dataclass(frozen=True)
class Statistics:
    """Contents of `statistics.json`: mean and deviation of the motion of the train
    split, and its frames."""

    frames: int
    mean: tuple[Finite, ...]
    deviation: tuple[Annotated[float, Range(0)], ...]

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in ("mean", "deviation"):
            count = len(getattr(self, name))
            if count != MOTION_WIDTH:
                raise ValueError(
                    f"{name} has {count} values, and a frame {MOTION_WIDTH}"
                )


@dataclass(frozen=True)
class Dataset(ClipShards[ClipRecord]):
    """A processed data set on disk.

    Attributes:
      feature_width: values of an audio feature.
      audio_encoder: identity of the encoder that made the features, by
        `network_identity`.
      motion_space: space that training uses unless another is named.
      mean: mean of every value of the motion over the train split, or of what the
        motion is normalised by in its place.
      deviation: sample deviation (n - 1) of every value, likewise.
      landmark_groups: groups of the records' landmarks.
      format: layout of the shards.
    """

    sizes: Mapping[Split, WindowSplitSize]
    feature_width: int
    audio_encoder: str
    motion_space: str
    mean: Float64[np.ndarray, "70"]
    deviation: Float64[np.ndarray, "70"]
    landmark_groups: LandmarkGroups = field(default_factory=dict)
    format: int = FORMAT

    def records(self, split: Split) -> ClipBlocks | WholeRecords:
        """Return the clips of a split, and their windows, which are read when they are
        used."""
        shards = self.shards(split)
        if self.format == FORMAT:
            return ClipBlocks.open(shards, self.feature_width)
        return WholeRecords(RecordSource(shards), self.decode)

    @property
    def parts(self) -> Sequence[tuple["Dataset", float]]:
        """The data sets that are mixed, each with its share of the windows."""
        return [(self, 1.0)]

    @property
    def identity(self) -> Mapping[str, Any]:
        """Facts that tell this data set from others, wherever it lies; runs store
        them."""
        return {
            "audio_encoder": self.audio_encoder,
            "sizes": self.sizes,
            "mean": self.mean.tolist(),
        }

    def decode(self, data: bytes) -> ClipRecord:
        record = decode_record(data)
        shapes = {
            "motion": (None, MOTION_WIDTH),
            "features": (None, self.feature_width),
            "envelope": (record.frames,),
        }
        for name, shape in shapes.items():
            require_shape(record.clip, name, getattr(record, name), shape)
        return record

    @property
    def shown_split(self) -> Split:
        """Split whose clips are shown: those held out, if there are any."""
        # A data set of one clip may hold none out.
        return "validation" if self.sizes["validation"].clips else "train"

    def statistics(self, motion_space: str) -> MotionStatistics:
        """Return mean and deviation of a motion space's columns, in float32.

        Raises:
          DatasetError: a value never changes, so that it cannot be normalised.
        """
        # the space's columns are chosen in float64, and rounded last
        columns = list(MOTION_SPACES[motion_space].columns)
        mean = self.mean[columns].astype(np.float32)
        deviation = self.deviation[columns].astype(np.float32)
        if not deviation.all():
            column = columns[int(np.argmin(deviation))]
            raise DatasetError(
                f"{self.path / STATISTICS} has deviation 0 at value {column} of a frame, which {motion_space} motion "
                "includes: process videos in which every part of the face moves"
            )
        return MotionStatistics(mean, deviation)  # pyright: ignore[reportArgumentType]

    def normalized_by(
        self, motion_space: str, statistics: MotionStatistics
    ) -> "Dataset":
        """Return the data set with these statistics of a motion space in place of those
        of its train split."""
        mean = self.mean.copy()
        deviation = self.deviation.copy()
        columns = list(MOTION_SPACES[motion_space].columns)
        mean[columns] = statistics.mean
        deviation[columns] = statistics.std
        return replace(self, mean=mean, deviation=deviation)


def network_identity(checkpoint: Checkpoint, part: str) -> str:
    """Return a name for a part's weights: equal for equal weights and sizes, wherever
    they are stored."""
    # equal weights of other sizes are another network
    sizes = asdict(checkpoint.sizes(part))
    digest = hashlib.sha256(json.dumps(sizes, sort_keys=True).encode())
    for name, leaf in sorted(checkpoint.leaves(part).items()):
        digest.update(f"{name} {leaf.shape} {leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def find_encoder(dataset: Dataset, checkpoint: Checkpoint) -> str:
    """Return the name of the checkpoint's audio encoder that made the data set's
    features.

    Raises:
      CheckpointError: there is no audio encoder.
      DatasetError: none of them made the features.
    """
    encoders = checkpoint.with_role("audio features") or [checkpoint.encoder()]
    identities = [network_identity(checkpoint, name) for name in encoders]
    if dataset.audio_encoder in identities:
        return encoders[identities.index(dataset.audio_encoder)]
    raise DatasetError(
        f"the features of {dataset.path} were made by audio encoder {dataset.audio_encoder}, and "
        f"{checkpoint.path} holds {' and '.join(identities)}: pass the checkpoint that the videos were processed "
        "with, or process them with this one"
    )


def write_description(dataset: Dataset) -> None:
    """Write `statistics.json`, and then `dataset.json`, which marks a complete data
    set."""
    # JSON keeps float64 exactly
    statistics = {
        "frames": dataset.sizes["train"].frames,
        "mean": dataset.mean.tolist(),
        "deviation": dataset.deviation.tolist(),
    }
    description = Description(
        format=dataset.format,
        **RATES,
        motion_space=dataset.motion_space,
        feature_width=dataset.feature_width,
        audio_encoder=dataset.audio_encoder,
        splits={split: dataset.sizes[split] for split in SPLITS},
        landmark_groups=dict(dataset.landmark_groups),
    )
    # the description comes last
    write_json(dataset.path / STATISTICS, statistics)
    write_json(dataset.path / DESCRIPTION, asdict(description))


def open_dataset(path: str | Path) -> Dataset:
    """Open a processed data set.

    Raises:
      FileNotFoundError: there is no complete data set.
      DatasetError: the data set is damaged, or of an unknown format.
    """
    return open_clips(
        path, DESCRIPTION, "train.process", Description, READABLE_FORMATS, _make
    )


def _make(path: Path, description: Description) -> Dataset:
    """Return the data set of a description, with the statistics beside it."""
    _check_rates(path, description)
    statistics = read_json(path / STATISTICS, Statistics)
    frames = description.splits["train"].frames
    if statistics.frames != frames:
        raise DatasetError(
            f"{path / STATISTICS} is of {statistics.frames} frames, and {DESCRIPTION} of {frames}: "
            "process the videos again"
        )
    return Dataset(
        path,
        {split: description.splits[split] for split in SPLITS},
        description.feature_width,
        description.audio_encoder,
        description.motion_space,
        np.array(statistics.mean, np.float64),
        np.array(statistics.deviation, np.float64),
        description.landmark_groups,
        description.format,
    )


def _check_rates(path: Path, description: Description) -> None:
    for name, expected in RATES.items():
        value = getattr(description, name)
        if value != expected:
            raise DatasetError(
                f"data set {path} has {name} {value}, this version reads {expected}"
            )
