"""Pairs of frames of one clip, in batches; see `train.data.batches` for their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float32, Float64

from train.data.batches import (
    Batches,
    BatchSource,
    Rows,
    Sample,
    clip_names,
    first_batches,
    stack,
)
from train.data.frames import FrameDataset
from train.data.order import Order
from train.data.pictures import FrameRecord, decode_image
from train.data.shards import DatasetError, Split
from train.engine.program import Inputs


@dataclass(frozen=True)
class Contrast:
    """A preference for pairs whose frames differ: a blink is short, and few pairs of
    frames would show one.

    Attributes:
      share: share of the pairs that are drawn by how much a gap of the face differs
        between their frames.
      gaps: pairs of landmarks, such as both lids of an eye; each pair of frames is
        drawn by one of them.
    """

    share: float = 0.0
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class PairDraw:
    """Draw two frames of a clip by the random key.

    Attributes:
      landmarks: number of points of a face; those of a clip that has none are NaN.
      contrast: choice of the frames; uniform in a clip whose landmarks are unknown or
        stand still.
    """

    landmarks: int
    contrast: Contrast = Contrast()

    def pair(self, index: int, record: FrameRecord, rng: np.random.Generator) -> Sample:
        """Return a pair of the clip of this number."""
        if record.frames < 2:
            raise DatasetError(
                f"clip {record.clip} has a single frame and a pair needs two: process the "
                "videos again"
            )
        source, driving = self._choose(record, rng)
        return {
            **self._frame("source", record, source),
            **self._frame("driving", record, driving),
            "clip": np.asarray(index, np.int32),
        }

    def _choose(self, record: FrameRecord, rng: np.random.Generator) -> tuple[int, int]:
        """Choose source and driving frame, by a gap in a share of the pairs."""
        # The first draw is made whatever the contrast, so that its share changes no other.
        contrasted = rng.random() < self.contrast.share
        if contrasted and record.landmarks.shape[1] == self.landmarks:
            gap = self.contrast.gaps[int(rng.integers(len(self.contrast.gaps)))]
            weights = _gap_differences(record.landmarks, *gap)
            if np.any(weights):
                probabilities = weights.ravel() / weights.sum()
                pair = int(rng.choice(weights.size, p=probabilities))
                return divmod(pair, record.frames)
        # Any frame, and any other one.
        source = int(rng.integers(record.frames))
        shift = 1 + int(rng.integers(record.frames - 1))
        return source, (source + shift) % record.frames

    def _frame(self, role: str, record: FrameRecord, frame: int) -> Sample:
        return {
            role: decode_image(record.images[frame]),
            f"{role}_landmarks": _points(record, frame, self.landmarks),
            f"{role}_pose": record.pose[frame],
            f"{role}_frame": np.asarray(frame, np.int32),
        }


@dataclass(frozen=True)
class PairSequence:
    """Samples of positions: a pair of every clip, then another of every clip.

    Attributes:
      records: clips.
      order: order of the clips.
      draw: choice of a pair by a random key, which depends on seed and position only.
    """

    records: Sequence[FrameRecord]
    order: Order
    draw: PairDraw

    def __call__(self, positions: Sequence[int]) -> Sample:
        return stack([self._pair(position) for position in positions])

    def _pair(self, position: int) -> Sample:
        clip, _ = self.order.place(position)
        rng = np.random.default_rng((self.order.seed, position))
        return self.draw.pair(clip, self.records[clip], rng)


def pair_inputs(dataset: FrameDataset) -> Inputs:
    """Return the arrays of a sample that the steps of both stages read."""
    size, points = dataset.size, dataset.landmarks
    # Clip and frames are on the host only, for messages.
    inputs = {"row": jax.ShapeDtypeStruct((), np.int32)}
    for role in ("source", "driving"):
        inputs |= {
            role: jax.ShapeDtypeStruct((size, size, 3), np.uint8),
            f"{role}_landmarks": jax.ShapeDtypeStruct((points, 2), np.float32),
            f"{role}_pose": jax.ShapeDtypeStruct((3,), np.float32),
        }
    return inputs


def pairs(
    dataset: FrameDataset,
    split: Split,
    seed: int,
    rows: Rows,
    *,
    contrast: Contrast = Contrast(),
    shuffle: bool = True,
) -> BatchSource:
    """Return the endless sequence of this process's batches.

    `source` and `driving` are two frames of one clip, uint8 (n, size, size, 3), RGB;
    `source_landmarks` and `driving_landmarks` (n, l, 2) and `source_pose` and
    `driving_pose` (n, 3) are as in `FrameRecord`, NaN where they are unknown; `row` is
    the place in the global batch; and `clip`, `source_frame` and `driving_frame` name
    the frames.

    Args:
      dataset: frames of clips.
      split: split of the data set.
      seed: seed of the order and of the pairs.
      rows: rows of a batch that this process reads.
      contrast: preference for pairs whose frames differ.
      shuffle: shuffle the clips again in every round; otherwise they keep their order.
    """
    count = dataset.sizes[split].clips
    if count == 0:
        raise DatasetError(
            f"data set {dataset.path} has no {split} clips: process more videos"
        )
    draw = PairDraw(dataset.landmarks, contrast)
    # A round has one pair of every clip.
    order = Order((1,) * count, seed, shuffle)
    return BatchSource(PairSequence(dataset.records(split), order, draw), rows)


def batches(
    dataset: FrameDataset,
    seed: int,
    rows: Rows,
    workers: int = 0,
    *,
    contrast: Contrast = Contrast(),
) -> Batches:
    """Return an endless iterator over training batches, read ahead by `workers`
    processes or by threads; its state is its position."""
    return Batches(pairs(dataset, "train", seed, rows, contrast=contrast), workers)


def validation_batches(dataset: FrameDataset, rows: Rows, count: int) -> list[Sample]:
    """Return the same `count` batches every time, without contrast: a pair of every
    validation clip, then another, in an order that mixes subjects."""
    if dataset.sizes["validation"].clips == 0:
        return []
    return first_batches(pairs(dataset, "validation", 0, rows), count)


def describe(batch: Sample, dataset: FrameDataset) -> str:
    """Return the clips of a batch and the frames that it holds of them, for
    messages."""
    names = clip_names(dataset, batch["clip"])
    sources = batch["source_frame"].tolist()
    drivings = batch["driving_frame"].tolist()
    return ", ".join(
        f"{name} from frame {source} to {driving}"
        for name, source, driving in zip(names, sources, drivings, strict=True)
    )


def _points(record: FrameRecord, frame: int, count: int) -> Float32[np.ndarray, "l 2"]:
    """Return the landmarks of a frame; NaN where the clip has none."""
    points = record.landmarks[frame]
    if len(points) == count:
        return points
    return np.full((count, 2), np.nan, np.float32)


def _gap_differences(
    landmarks: Float32[np.ndarray, "f l 2"], one: int, other: int
) -> Float64[np.ndarray, "f f"]:
    """Return the difference of a gap between two landmarks in every pair of frames; 0
    where it is unknown."""
    # In double precision, so that probabilities sum to 1.
    way = landmarks[:, one] - landmarks[:, other]
    gap = np.linalg.norm(way, axis=-1).astype(np.float64)
    return np.nan_to_num(np.abs(gap[:, None] - gap[None]))
