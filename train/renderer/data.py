"""Pairs of frames of one clip, in batches; `train.data.batches` says in which order they
come."""

from dataclasses import dataclass

import grain
import numpy as np
from jaxtyping import Float32

from train.data.batches import (
    Rows,
    Sample,
    clip_names,
    first_batches,
    read_ahead,
    sequence,
)
from train.data.frames import FrameDataset, FrameRecord, decode_image
from train.data.shards import DatasetError, Split
from train.engine.program import Inputs


@dataclass(frozen=True)
class Contrast:
    """A preference for pairs whose frames differ: a blink is short, and few pairs of
    frames would show one.

    Attributes:
      share: of the pairs, that are drawn by how much a gap of the face differs between
        their frames.
      gaps: pairs of landmarks, such as both lids of an eye; each pair of frames is
        drawn by one of them.
    """

    share: float = 0.0
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class PairDraw(grain.transforms.RandomMap):
    """A clip -> two of its frames, chosen by the random key.

    Attributes:
      landmarks: points of a face; those of a clip that has none are NaN.
      contrast: how the frames are chosen; by themselves in a clip whose landmarks are
        unknown or stand still.
    """

    landmarks: int
    contrast: Contrast = Contrast()

    def random_map(
        self, element: tuple[int, FrameRecord], rng: np.random.Generator
    ) -> Sample:
        index, record = element
        if record.frames < 2:
            raise DatasetError(
                f"clip {record.clip} has a single frame and a pair needs two: process the videos again"
            )
        source, driving = self._choose(record, rng)
        return {
            **self._frame("source", record, source),
            **self._frame("driving", record, driving),
            "clip": np.asarray(index, np.int32),
        }

    def _choose(self, record: FrameRecord, rng: np.random.Generator) -> tuple[int, int]:
        if (
            rng.random() < self.contrast.share
            and record.landmarks.shape[1] == self.landmarks
        ):
            gap = self.contrast.gaps[int(rng.integers(len(self.contrast.gaps)))]
            differences = _differences(record.landmarks, *gap)
            if np.any(differences):
                chosen = rng.choice(
                    differences.size, p=differences.ravel() / differences.sum()
                )
                source, driving = divmod(int(chosen), record.frames)
                return source, driving
        source = int(rng.integers(record.frames))
        return source, (
            source + 1 + int(rng.integers(record.frames - 1))
        ) % record.frames

    def _frame(self, role: str, record: FrameRecord, frame: int) -> Sample:
        return {
            role: decode_image(record.images[frame]),
            f"{role}_landmarks": _points(record, frame, self.landmarks),
            f"{role}_pose": record.pose[frame],
            f"{role}_frame": np.asarray(frame, np.int32),
        }


def pair_inputs(dataset: FrameDataset) -> Inputs:
    """What the steps of both stages read of a batch."""
    size, points = dataset.size, dataset.landmarks
    shapes: dict[str, tuple[tuple[int, ...], type]] = {"row": ((), np.int32)}
    for role in ("source", "driving"):
        shapes[role] = ((size, size, 3), np.uint8)
        shapes[f"{role}_landmarks"] = ((points, 2), np.float32)
        shapes[f"{role}_pose"] = ((3,), np.float32)
    return shapes


def pairs(
    dataset: FrameDataset,
    split: Split,
    seed: int,
    rows: Rows,
    *,
    contrast: Contrast = Contrast(),
    shuffle: bool = True,
) -> grain.MapDataset:
    """The endless sequence of this process's batches.

    `source` and `driving` are two frames of one clip, uint8 (n, size, size, 3), RGB;
    `source_landmarks` and `driving_landmarks` (n, l, 2) and `source_pose` and
    `driving_pose` (n, 3) are as in `FrameRecord`, NaN where they are unknown; `row`;
    and `clip`, `source_frame` and `driving_frame` say what they are.

    Args:
      shuffle: the clips anew every time round; otherwise they keep their order.
    """
    return sequence(
        dataset,
        split,
        PairDraw(dataset.landmarks, contrast),
        seed,
        rows,
        shuffle=shuffle,
    )


def batches(
    dataset: FrameDataset, seed: int, rows: Rows, *, contrast: Contrast = Contrast()
) -> grain.DatasetIterator:
    """An endless iterator over training batches, read ahead by threads; its state says
    where it is."""
    return read_ahead(pairs(dataset, "train", seed, rows, contrast=contrast))


def validation_batches(dataset: FrameDataset, rows: Rows, count: int) -> list[Sample]:
    """The same `count` batches every time, without contrast: a pair of every validation
    clip, and another, in an order that mixes subjects."""
    if dataset.sizes["validation"].clips == 0:
        return []
    return first_batches(pairs(dataset, "validation", 0, rows), rows, count)


def describe(batch: Sample, dataset: FrameDataset) -> str:
    """The clips of a batch and which of their frames it holds, for messages."""
    frames = zip(
        batch["source_frame"].tolist(), batch["driving_frame"].tolist(), strict=True
    )
    named = zip(clip_names(dataset, batch["clip"]), frames, strict=True)
    return ", ".join(
        f"{name} from frame {source} to {driving}" for name, (source, driving) in named
    )


def _points(record: FrameRecord, frame: int, count: int) -> Float32[np.ndarray, "l 2"]:
    known = record.landmarks[frame]
    return known if len(known) == count else np.full((count, 2), np.nan, np.float32)


def _differences(
    landmarks: Float32[np.ndarray, "f l 2"], one: int, other: int
) -> np.ndarray:
    """By how much the distance of two landmarks differs between each frame and each
    other, (f, f); 0 where unknown."""
    gap = np.linalg.norm(landmarks[:, one] - landmarks[:, other], axis=-1).astype(
        np.float64
    )
    return np.nan_to_num(np.abs(gap[:, None] - gap[None]))
