"""Windows of motion and audio features, in batches: Grain over the shards of a data set.

The order of clips follows from the seed and a clip's window from its own random key, both by position in the endless
sequence of samples. Every process takes its rows of every global batch, so any number of processes sees the same ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import grain
import numpy as np
from jaxtyping import Float32

from jaxportrait.models.config import FEATURES_PER_SECOND, MOTION_FPS, MOTION_SPACES
from jaxportrait.types import MotionStatistics
from train.records import (
    WINDOW_FRAMES,
    WINDOW_STEP,
    ClipRecord,
    Dataset,
    DatasetError,
    Split,
    decode_record,
    feature_at,
)

WINDOW_FEATURES = WINDOW_FRAMES * FEATURES_PER_SECOND // MOTION_FPS
NETWORK_INPUTS = ("motion", "features", "row")
"""What of a batch goes to the devices; the rest says which windows they are."""

Sample = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Which rows of every global batch a process reads: `process`, `process + processes` and so on."""

    batch_size: int
    process: int = 0
    processes: int = 1

    @property
    def local(self) -> int:
        return self.batch_size // self.processes


@dataclass(frozen=True)
class WindowCrop(grain.transforms.RandomMap):
    """A clip -> one window, where the random key says.

    Attributes:
      columns: of the motion space.
      statistics: by which the motion is normalised.
    """

    columns: tuple[int, ...]
    statistics: MotionStatistics

    def random_map(self, element: tuple[int, ClipRecord], rng: np.random.Generator) -> Sample:
        index, record = element
        if record.windows == 0:
            raise DatasetError(
                f"clip {record.clip} has {record.frames} frames and a window has {WINDOW_FRAMES}: "
                "process the videos again"
            )
        start = WINDOW_STEP * int(rng.integers(record.windows))
        return {**window(record, start, self.columns, self.statistics), "clip": np.asarray(index, np.int32)}


def window(
    record: ClipRecord, start: int, columns: tuple[int, ...], statistics: MotionStatistics
) -> dict[str, np.ndarray]:
    """The window of a clip that starts with frame `start`: `motion` (30, d), `features` (50, a) and `start`."""
    first = feature_at(start)
    features = record.features[first : first + WINDOW_FEATURES]
    if len(features) < WINDOW_FEATURES:
        raise DatasetError(
            f"clip {record.clip} has {len(record.features)} audio features for {record.frames} frames: "
            "process the videos again"
        )
    motion = record.motion[start : start + WINDOW_FRAMES, list(columns)]
    return {"motion": normalise(motion, statistics), "features": features, "start": np.asarray(start, np.int32)}


def normalise(motion: Float32[np.ndarray, "t d"], statistics: MotionStatistics) -> Float32[np.ndarray, "t d"]:
    """Motion in units of its deviation; a value that never changes stays 0."""
    deviation = np.asarray(statistics.std)
    return np.asarray((motion - np.asarray(statistics.mean)) / np.where(deviation > 0, deviation, 1), np.float32)


def windows(
    dataset: Dataset, split: Split, motion_space: str, seed: int, rows: Rows, *, shuffle: bool = True
) -> grain.MapDataset:
    """The endless sequence of this process's batches: `motion`, `features`, `row`, `clip`, `start`.

    Args:
      shuffle: the clips anew every time round; otherwise they keep their order.
    """
    if dataset.sizes[split].clips == 0:
        raise DatasetError(f"data set {dataset.path} has no {split} clips: process more videos")
    crop = WindowCrop(MOTION_SPACES[motion_space].columns, dataset.statistics(motion_space))
    source = grain.sources.ArrayRecordDataSource([str(shard) for shard in dataset.shards(split)])
    count = dataset.sizes[split].clips  # an index goes on counting when the clips come round again
    records = grain.MapDataset.source(source).seed(seed)  # pyright: ignore[reportArgumentType]
    clips = records.map_with_index(lambda index, data: (index % count, decode_record(data)))
    samples = (clips.shuffle() if shuffle else clips).repeat().random_map(crop)
    numbered = samples.map_with_index(lambda index, sample: {**sample, "row": np.int32(index % rows.batch_size)})
    return numbered[rows.process :: rows.processes].batch(rows.local, drop_remainder=True)


def batches(
    dataset: Dataset, motion_space: str, seed: int, rows: Rows, *, threads: int = 4, prefetch: int = 16
) -> grain.DatasetIterator:
    """An endless iterator over training batches, read ahead by threads; its state says where it is."""
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
    return iter(windows(dataset, "train", motion_space, seed, rows).to_iter_dataset(options))


def validation_batches(dataset: Dataset, motion_space: str, rows: Rows, count: int) -> list[Sample]:
    """The same `count` batches every time: windows of every validation clip in turn."""
    if dataset.sizes["validation"].clips == 0:
        return []
    sequence = windows(dataset, "validation", motion_space, 0, rows, shuffle=False)
    found = [cast(Sample, sequence[index]) for index in range(count)]
    return [{**batch, "row": batch["row"] + np.int32(index * rows.batch_size)} for index, batch in enumerate(found)]


def describe(batch: Sample, dataset: Dataset) -> str:
    """The clips of a batch and where its windows start, for messages."""
    source = grain.sources.ArrayRecordDataSource([str(shard) for shard in dataset.shards("train")])
    pairs = zip(batch["clip"].tolist(), batch["start"].tolist(), strict=True)
    return ", ".join(f"{decode_record(source[clip]).clip} at frame {start}" for clip, start in pairs)
