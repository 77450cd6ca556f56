"""Windows of motion and audio features, in batches; see `train.data.batches` for their
order."""

from dataclasses import dataclass

import grain
import jax
import numpy as np

from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    MotionStatistics,
    normalize,
)
from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND
from train.data.batches import (
    Rows,
    Sample,
    clip_names,
    first_batches,
    read_ahead,
    sequence,
)
from train.data.dataset import Dataset
from train.data.records import WINDOW_FRAMES, WINDOW_STEP, ClipRecord, feature_at
from train.data.shards import DatasetError, Split
from train.engine.program import Inputs

WINDOW_FEATURES = WINDOW_FRAMES * FEATURES_PER_SECOND // MOTION_FPS


@dataclass(frozen=True)
class WindowCrop(grain.transforms.RandomMap):
    """Cut a window out of a clip, at a random start.

    Attributes:
      columns: columns of the motion space.
      statistics: mean and deviation by which the motion is normalised.
    """

    columns: tuple[int, ...]
    statistics: MotionStatistics

    def random_map(
        self, element: tuple[int, ClipRecord], rng: np.random.Generator
    ) -> Sample:
        index, record = element
        if record.windows == 0:
            raise DatasetError(
                f"clip {record.clip} has {record.frames} frames and a window has "
                f"{WINDOW_FRAMES}: process the videos again"
            )
        # Starts are multiples of 3 frames, where features start.
        start = WINDOW_STEP * int(rng.integers(record.windows))
        sample = window(record, start, self.columns, self.statistics)
        return {**sample, "clip": np.asarray(index, np.int32)}


def window(
    record: ClipRecord,
    start: int,
    columns: tuple[int, ...],
    statistics: MotionStatistics,
) -> dict[str, np.ndarray]:
    """Cut out the window that starts with frame `start`: `motion` (30, d), `features`
    (50, a) and `start`.

    Raises:
      DatasetError: the clip has too few audio features.
    """
    # Windows start where an audio feature starts, too.
    first = feature_at(start)
    features = record.features[first : first + WINDOW_FEATURES]
    if len(features) < WINDOW_FEATURES:
        raise DatasetError(
            f"clip {record.clip} has {len(record.features)} audio features for "
            f"{record.frames} frames: process the videos again"
        )
    motion = record.motion[start : start + WINDOW_FRAMES, list(columns)]
    return {
        "motion": normalize(motion, statistics),
        "features": features,
        "start": np.asarray(start, np.int32),
    }


def window_inputs(transformer: FlowTransformerConfig) -> Inputs:
    """Return the arrays of a sample that a step reads."""
    motion = (WINDOW_FRAMES, transformer.motion_width)
    features = (WINDOW_FEATURES, transformer.audio_width)
    return {
        "motion": jax.ShapeDtypeStruct(motion, np.float32),
        "features": jax.ShapeDtypeStruct(features, np.float16),
        "row": jax.ShapeDtypeStruct((), np.int32),
    }


def windows(
    dataset: Dataset,
    split: Split,
    motion_space: str,
    seed: int,
    rows: Rows,
    *,
    shuffle: bool = True,
) -> grain.MapDataset:
    """Return the endless sequence of this process's batches: `motion`, `features`,
    `row`, `clip`, `start`.

    Args:
      dataset: windows of motion and audio features.
      split: split of the data set.
      motion_space: name of the motion space.
      seed: seed of the order and of the windows.
      rows: rows of a batch that this process reads.
      shuffle: shuffle the clips again in every round; otherwise they keep their order.
    """
    columns = MOTION_SPACES[motion_space].columns
    crop = WindowCrop(columns, dataset.statistics(motion_space))
    return sequence(dataset, split, crop, seed, rows, shuffle=shuffle)


def batches(
    dataset: Dataset, motion_space: str, seed: int, rows: Rows
) -> grain.DatasetIterator:
    """Return an endless iterator over training batches, read ahead by threads; its
    state is its position."""
    return read_ahead(windows(dataset, "train", motion_space, seed, rows))


def validation_batches(
    dataset: Dataset, motion_space: str, rows: Rows, count: int
) -> list[Sample]:
    """Return the same `count` batches every time: a window of every validation clip,
    then another, in an order that mixes subjects."""
    if dataset.sizes["validation"].clips == 0:
        return []
    # The seed is fixed: every run is judged by the same windows.
    order = windows(dataset, "validation", motion_space, 0, rows)
    return first_batches(order, rows, count)


def describe(batch: Sample, dataset: Dataset) -> str:
    """Return the clips of a batch and the starts of its windows, for messages."""
    names = clip_names(dataset, batch["clip"])
    starts = batch["start"].tolist()
    return ", ".join(
        f"{name} at frame {start}" for name, start in zip(names, starts, strict=True)
    )
