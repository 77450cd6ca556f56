"""The contract between processing and training: what a processed clip holds, and where
it lies on disk.

A data set is a folder of ArrayRecord shards, one record a clip, with `dataset.json`
(what it is), `statistics.json` (mean and deviation of the motion over the train split)
and `manifest.jsonl` (every clip seen, and what became of it).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Float32, Float64

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    MOTION_WIDTH,
    MotionStatistics,
)
from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND
from train.data.shards import (
    SPLITS,
    ClipShards,
    DatasetError,
    Split,
    SplitSize,
    pack,
    read_description,
    read_json,
    reading,
    require_complete,
    unpack,
    write_json,
)

FORMAT = 1
DESCRIPTION, STATISTICS = "dataset.json", "statistics.json"

RATES = {
    "motion_fps": MOTION_FPS,
    "motion_width": MOTION_WIDTH,
    "features_per_second": FEATURES_PER_SECOND,
}
"""What every data set of this format has in common."""

WINDOW_FRAMES = 30
WINDOW_STEP = 3
"""Windows start at multiples of 3 frames, where an audio feature starts too: 5 features
last as long as 3 frames."""


@dataclass(frozen=True)
class ClipRecord:
    """One clip, or that part of it which belongs to a split.

    Attributes:
      clip: path of its video below the data set's root, with slashes.
      subject: who speaks.
      emotion: as the source names it; empty where it does not.
      level: intensity of the emotion; 0 where the source names none.
      motion: all values of each frame at 30 a second, in the order of `MotionSpace`.
      features: audio features, 50 a second; feature 5 i starts with frame 3 i, and
        every frame is covered.
      envelope: loudness of the sound at each frame, root mean square.
      start: the frame of the clip at which the record starts; a multiple of 3.
    """

    clip: str
    subject: str
    emotion: str
    level: int
    motion: Float32[np.ndarray, "frames 70"]
    features: Float16[np.ndarray, "features width"]
    envelope: Float32[np.ndarray, " frames"]
    start: int = 0

    @property
    def frames(self) -> int:
        return len(self.motion)

    @property
    def windows(self) -> int:
        return window_count(self.frames)


@dataclass(frozen=True)
class WindowSplitSize(SplitSize):
    """How much a split holds; windows are counted at every start that training may
    choose."""

    windows: int


@dataclass(frozen=True)
class Dataset(ClipShards[ClipRecord]):
    """A processed data set on disk.

    Attributes:
      feature_width: values of an audio feature.
      audio_encoder: identity of the encoder that made the features, by
        `network_identity`.
      motion_space: the one it was made for, which training takes where it is told no
        other.
      mean, deviation: of every value of the motion over the train split; the deviation
        is that of a sample (n - 1).
    """

    sizes: Mapping[Split, WindowSplitSize]
    feature_width: int
    audio_encoder: str
    motion_space: str
    mean: Float64[np.ndarray, "70"]
    deviation: Float64[np.ndarray, "70"]

    @staticmethod
    def decode(data: bytes) -> ClipRecord:
        return decode_record(data)

    def statistics(self, motion_space: str) -> MotionStatistics:
        """Mean and deviation of a motion space's columns, in float32."""
        columns = list(MOTION_SPACES[motion_space].columns)
        values = (
            column[columns].astype(np.float32) for column in (self.mean, self.deviation)
        )
        return MotionStatistics(*values)  # pyright: ignore[reportArgumentType]


def window_count(frames: int) -> int:
    """How many windows start in a clip of `frames` frames."""
    return max(0, (frames - WINDOW_FRAMES) // WINDOW_STEP + 1)


def features_needed(frames: int) -> int:
    """The audio features that cover `frames` frames."""
    return -(-frames * FEATURES_PER_SECOND // MOTION_FPS)


def feature_at(frame: int) -> int:
    """The audio feature that starts with `frame`, a multiple of 3."""
    return frame * FEATURES_PER_SECOND // MOTION_FPS


def encode_record(record: ClipRecord) -> bytes:
    """A record as MessagePack; equal records give equal bytes."""
    return pack(record)


def decode_record(data: bytes) -> ClipRecord:
    """The record that `encode_record` wrote; its arrays are read-only.

    Raises:
      DatasetError: bytes that are no such record.
    """
    return unpack(ClipRecord, data)


def network_identity(checkpoint: Checkpoint, part: str) -> str:
    """A name for the weights of a part: equal for equal weights and sizes, wherever
    they are stored."""
    digest = hashlib.sha256(
        json.dumps(asdict(getattr(checkpoint.config, part)), sort_keys=True).encode()
    )
    for name, leaf in sorted(checkpoint.leaves(part).items()):
        digest.update(f"{name} {leaf.shape} {leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def check_encoder(dataset: Dataset, checkpoint: Checkpoint) -> None:
    """Raise a DatasetError unless the data set's features were made by the checkpoint's
    audio encoder."""
    encoder = checkpoint.config.audio_encoder
    checkpoint.require([encoder])
    identity = network_identity(checkpoint, encoder)
    if identity != dataset.audio_encoder:
        raise DatasetError(
            f"the features of {dataset.path} were made by audio encoder {dataset.audio_encoder}, and {checkpoint.path} "
            f"holds {identity}: pass the checkpoint that the videos were processed with, or process them with this one"
        )


def write_description(dataset: Dataset) -> None:
    """Write `statistics.json`, and then `dataset.json`, by which a data set is known to
    be complete."""
    statistics = {
        "frames": dataset.sizes["train"].frames,
        "mean": dataset.mean.tolist(),
        "deviation": dataset.deviation.tolist(),
    }
    description = {
        "format": FORMAT,
        **RATES,
        "motion_space": dataset.motion_space,
        "feature_width": dataset.feature_width,
        "audio_encoder": dataset.audio_encoder,
        "splits": {split: asdict(dataset.sizes[split]) for split in SPLITS},
    }
    write_json(dataset.path / STATISTICS, statistics)
    write_json(dataset.path / DESCRIPTION, description)


def open_dataset(path: str | Path) -> Dataset:
    """Open a processed data set.

    Raises:
      FileNotFoundError: there is none that is complete.
      DatasetError: damaged, or of another format.
    """
    path = Path(path)
    require_complete(path, DESCRIPTION, "train.process")
    with reading(path):
        description = read_description(path / DESCRIPTION, FORMAT)
        for name, value in RATES.items():
            if description[name] != value:
                raise DatasetError(
                    f"data set {path} has {name} {description[name]}, this version reads {value}"
                )
        statistics = read_json(path / STATISTICS)
        dataset = Dataset(
            path,
            {
                split: WindowSplitSize(**description["splits"][split])
                for split in SPLITS
            },
            description["feature_width"],
            description["audio_encoder"],
            description["motion_space"],
            np.array(statistics["mean"], np.float64),
            np.array(statistics["deviation"], np.float64),
        )
    dataset.require_shards()
    return dataset
