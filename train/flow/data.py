"""Windows of motion and audio features, in batches; `train.data.batches` says in which order
they come."""

from dataclasses import dataclass

import grain
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
from train.data.records import (
    WINDOW_FRAMES,
    WINDOW_STEP,
    ClipRecord,
    Dataset,
    feature_at,
)
from train.data.shards import DatasetError, Split
from train.engine.program import Inputs

WINDOW_FEATURES = WINDOW_FRAMES * FEATURES_PER_SECOND // MOTION_FPS


@dataclass(frozen=True)
class WindowCrop(grain.transforms.RandomMap):
    """A clip -> one window, where the random key says.

    Attributes:
      columns: of the motion space.
      statistics: by which the motion is normalised.
    """

    columns: tuple[int, ...]
    statistics: MotionStatistics

    def random_map(
        self, element: tuple[int, ClipRecord], rng: np.random.Generator
    ) -> Sample:
        index, record = element
        if record.windows == 0:
            raise DatasetError(
                f"clip {record.clip} has {record.frames} frames and a window has {WINDOW_FRAMES}: "
                "process the videos again"
            )
        start = WINDOW_STEP * int(rng.integers(record.windows))
        return {
            **window(record, start, self.columns, self.statistics),
            "clip": np.asarray(index, np.int32),
        }


def window(
    record: ClipRecord,
    start: int,
    columns: tuple[int, ...],
    statistics: MotionStatistics,
) -> dict[str, np.ndarray]:
    """The window of a clip that starts with frame `start`: `motion` (30, d), `features`
    (50, a) and `start`."""
    first = feature_at(start)
    features = record.features[first : first + WINDOW_FEATURES]
    if len(features) < WINDOW_FEATURES:
        raise DatasetError(
            f"clip {record.clip} has {len(record.features)} audio features for {record.frames} frames: "
            "process the videos again"
        )
    motion = record.motion[start : start + WINDOW_FRAMES, list(columns)]
    return {
        "motion": normalize(motion, statistics),
        "features": features,
        "start": np.asarray(start, np.int32),
    }


def window_inputs(transformer: FlowTransformerConfig) -> Inputs:
    """What the step reads of a batch."""
    return {
        "motion": ((WINDOW_FRAMES, transformer.motion_width), np.float32),
        "features": ((WINDOW_FEATURES, transformer.audio_width), np.float16),
        "row": ((), np.int32),
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
    """The endless sequence of this process's batches: `motion`, `features`, `row`,
    `clip`, `start`.

    Args:
      shuffle: the clips anew every time round; otherwise they keep their order.
    """
    crop = WindowCrop(
        MOTION_SPACES[motion_space].columns, dataset.statistics(motion_space)
    )
    return sequence(dataset, split, crop, seed, rows, shuffle=shuffle)


def batches(
    dataset: Dataset, motion_space: str, seed: int, rows: Rows
) -> grain.DatasetIterator:
    """An endless iterator over training batches, read ahead by threads; its state says
    where it is."""
    return read_ahead(windows(dataset, "train", motion_space, seed, rows))


def validation_batches(
    dataset: Dataset, motion_space: str, rows: Rows, count: int
) -> list[Sample]:
    """The same `count` batches every time: a window of every validation clip, and
    another, in an order that mixes subjects."""
    if dataset.sizes["validation"].clips == 0:
        return []
    return first_batches(
        windows(dataset, "validation", motion_space, 0, rows), rows, count
    )


def describe(batch: Sample, dataset: Dataset) -> str:
    """The clips of a batch and where its windows start, for messages."""
    names = clip_names(dataset, batch["clip"])
    return ", ".join(
        f"{name} at frame {start}"
        for name, start in zip(names, batch["start"].tolist(), strict=True)
    )
