"""Windows of motion and audio features, in batches; see `train.data.batches` for their
order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

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
    Batches,
    BatchSource,
    Rows,
    Sample,
    clip_names,
    first_batches,
)
from train.data.dataset import Dataset
from train.data.labels import emotion_strengths
from train.data.records import WINDOW_FRAMES, WINDOW_STEP, window_count
from train.data.sequence import sequence
from train.data.shards import Split
from train.data.windows import Needs, Window
from train.engine.program import Inputs

WINDOW_FEATURES = WINDOW_FRAMES * FEATURES_PER_SECOND // MOTION_FPS
Levels = Mapping[str, int]
NO_EMOTIONS: Levels = MappingProxyType({})


@dataclass(frozen=True)
class WindowCut:
    """Windows of a clip: each of its starts is a sample.

    Attributes:
      columns: columns of the motion space.
      statistics: mean and deviation by which the motion is normalised.
      levels: emotion -> its highest level, of the emotions that are a condition.
    """

    columns: tuple[int, ...]
    statistics: MotionStatistics
    levels: Levels = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return WINDOW_FRAMES

    @property
    def needs(self) -> Needs:
        """Nothing beside motion and features."""
        return Needs()

    def count(self, frames: int) -> int:
        """Return the number of windows of a clip; see `Cut` for details."""
        return window_count(frames)

    def start(self, frames: int, number: int) -> int:
        """Return the start of a window of a clip."""
        # Starts are multiples of 3 frames, where features start.
        return WINDOW_STEP * number

    def batch(self, windows: Sequence[Window]) -> Sample:
        """Return `motion` (n, 30, d) and `features` (n, 50, a), and `emotion` (n, e) where
        there are levels."""
        shape = (len(windows), WINDOW_FRAMES, -1)
        # All parts at once, so that each value is copied once.
        motion = np.concatenate(
            [part for window in windows for part in window.motion_parts]
        )
        features = np.concatenate(
            [part for window in windows for part in window.feature_parts]
        )
        chosen = motion[:, list(self.columns)].reshape(shape)
        batch = {
            "motion": normalize(chosen, self.statistics),
            # n * 50, a -> n, 50, a
            "features": features.reshape(len(windows), WINDOW_FEATURES, -1),
        }
        if self.levels:
            strengths = [
                emotion_strengths(window.labels, self.levels) for window in windows
            ]
            batch["emotion"] = np.stack(strengths)
        return batch


def window_inputs(transformer: FlowTransformerConfig) -> Inputs:
    """Return the arrays of a sample that a step reads."""
    motion = (WINDOW_FRAMES, transformer.motion_width)
    features = (WINDOW_FEATURES, transformer.audio_width)
    inputs = {
        "motion": jax.ShapeDtypeStruct(motion, np.float32),
        "features": jax.ShapeDtypeStruct(features, np.float16),
        "row": jax.ShapeDtypeStruct((), np.int32),
    }
    if transformer.emotions:
        emotion = (transformer.emotions,)
        inputs["emotion"] = jax.ShapeDtypeStruct(emotion, np.float32)
    return inputs


def windows(
    dataset: Dataset,
    split: Split,
    motion_space: str,
    seed: int,
    rows: Rows,
    *,
    shuffle: bool = True,
    levels: Levels = NO_EMOTIONS,
) -> BatchSource:
    """Return the endless sequence of this process's batches: `motion`, `features`,
    `row`, `clip`, `start`, and `emotion` where there are levels.

    Args:
      dataset: windows of motion and audio features.
      split: split of the data set.
      motion_space: name of the motion space.
      seed: seed of the order.
      rows: rows of a batch that this process reads.
      shuffle: shuffle the windows again in every round; otherwise they keep their
        order.
      levels: emotion -> its highest level, of the emotions that are a condition.
    """
    columns = MOTION_SPACES[motion_space].columns
    cut = WindowCut(columns, dataset.statistics(motion_space), levels)
    return sequence(dataset, split, cut, seed, rows, shuffle=shuffle)


def batches(
    dataset: Dataset,
    motion_space: str,
    seed: int,
    rows: Rows,
    workers: int = 0,
    levels: Levels = NO_EMOTIONS,
) -> Batches:
    """Return an endless iterator over training batches, read ahead by `workers`
    processes or by threads; its state is its position."""
    order = windows(dataset, "train", motion_space, seed, rows, levels=levels)
    return Batches(order, workers)


def validation_batches(
    dataset: Dataset,
    motion_space: str,
    rows: Rows,
    count: int,
    levels: Levels = NO_EMOTIONS,
) -> list[Sample]:
    """Return the same `count` batches every time, of windows of validation clips in an
    order that mixes them."""
    # Held-out clips may all be shorter than a window.
    if dataset.sizes["validation"].windows == 0:
        return []
    # The seed is fixed: every run is judged by the same windows.
    order = windows(dataset, "validation", motion_space, 0, rows, levels=levels)
    return first_batches(order, count)


def describe(batch: Sample, dataset: Dataset) -> str:
    """Return the clips of a batch and the starts of its windows, for messages."""
    names = clip_names(dataset, batch["clip"])
    starts = batch["start"].tolist()
    return ", ".join(
        f"{name} at frame {start}" for name, start in zip(names, starts, strict=True)
    )
