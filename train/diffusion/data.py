"""Pairs of windows of motion at 25 frames a second and their sound, in batches; see
`train.data.batches` for their order."""

from dataclasses import dataclass

import grain
import jax
import numpy as np
from jaxtyping import Float32

from jaxportrait.models.motion_diffusion import MotionDiffusionConfig
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    MotionStatistics,
    normalize,
)
from jaxportrait.ops.spectrogram import SAMPLE_RATE
from train.data.batches import (
    Rows,
    Sample,
    first_batches,
    read_ahead,
    sequence,
)
from train.data.dataset import Dataset
from train.data.records import WINDOW_STEP, ClipRecord, feature_at, sample_at
from train.data.shards import DatasetError, Split
from train.data.silence import quietest_feature
from train.engine.program import Inputs

FPS = 25
FRAME_SAMPLES = SAMPLE_RATE // FPS
FACE = MOTION_SPACES["face"]


@dataclass(frozen=True)
class PairCrop(grain.transforms.RandomMap):
    """Cut two successive windows out of a clip, at a random start.

    A clip that is shorter ends in silence, whose frames do not count.

    Attributes:
      sizes: those of the denoiser.
      space: name of the motion space.
      statistics: mean and deviation by which the motion is normalised.
      sound: cut the sound, and not the stored features.
    """

    sizes: MotionDiffusionConfig
    space: str
    statistics: MotionStatistics
    sound: bool

    def random_map(
        self, element: tuple[int, ClipRecord], rng: np.random.Generator
    ) -> Sample:
        index, record = element
        # Starts are multiples of 3 frames, where features and samples start.
        pair_frames = 2 * self.sizes.motion_frames * MOTION_FPS // FPS
        last = max(0, record.frames - pair_frames)
        start = WINDOW_STEP * int(rng.integers(last // WINDOW_STEP + 1))
        return {**self.pair(record, start), "clip": np.asarray(index, np.int32)}

    def pair(self, record: ClipRecord, start: int) -> dict[str, np.ndarray]:
        """Return the windows that start with a frame of the record: `motion` (2, t, d),
        `real` (2,), and `features` (2, s, a) with `silence` (a,), or `sound` (2,
        samples)."""
        sizes = self.sizes
        motion = resample_frames(record.motion[start:])[: 2 * sizes.motion_frames]
        selected = np.asarray(MOTION_SPACES[self.space].select(motion))
        values = normalize(selected, self.statistics)
        # The network may make more values, which stay 0.
        shape = (2 * sizes.motion_frames, sizes.motion_width)
        whole = np.zeros(shape, np.float32)
        whole[: len(values), : values.shape[1]] = values
        # Frames of the clip within each window.
        ends = len(values) - sizes.motion_frames * np.arange(2)
        return {
            # 2t d -> 2 t d
            "motion": whole.reshape(2, -1, sizes.motion_width),
            "real": np.clip(ends, 0, sizes.motion_frames).astype(np.int32),
            "start": np.asarray(start, np.int32),
            **self._audio(record, start),
        }

    def _audio(self, record: ClipRecord, start: int) -> dict[str, np.ndarray]:
        if self.sound:
            samples = cut_sound(record, start, 2 * self.sizes.motion_frames)
            return {"sound": samples.reshape(2, -1)}
        silence = quietest_feature(record)
        count = 2 * self.sizes.audio_frames
        first = feature_at(start)
        features = record.features[first : first + count].astype(np.float32)
        missing = count - len(features)
        # a -> missing a: the clip's own silence, not zeros.
        rest = np.broadcast_to(silence, (missing, silence.size))
        whole = np.concatenate([features, rest]).astype(np.float16)
        return {
            "features": whole.reshape(2, -1, silence.size),
            "silence": silence.astype(np.float16),
        }


def resample_frames(
    motion: Float32[np.ndarray, "n 70"],
) -> Float32[np.ndarray, "m 70"]:
    """Return the frames of a record at 25 a second, as many as it covers."""
    clip = MotionClip.from_values(motion, FACE, MOTION_FPS)
    # The last of them starts with or before the last stored frame.
    count = (len(motion) - 1) * FPS // MOTION_FPS + 1
    return clip.resample(FPS, count).to_frames()


def cut_sound(
    record: ClipRecord, start: int, frames: int
) -> Float32[np.ndarray, " samples"]:
    """Return the sound of so many frames at 25 a second; silence follows a clip.

    Raises:
      DatasetError: the record has no sound.
    """
    if record.sound is None:
        raise DatasetError(
            f"clip {record.clip} has no sound: process the videos again with their sound, or train on stored features"
        )
    first = sample_at(start)
    count = frames * FRAME_SAMPLES
    samples = record.sound[first : first + count]
    # 16-bit samples of full scale.
    scaled = samples.astype(np.float32) / 32_768
    return np.pad(scaled, (0, count - len(scaled)))


def pair_inputs(sizes: MotionDiffusionConfig, *, sound: bool) -> Inputs:
    """Return the arrays of a sample that a step reads."""
    inputs = {
        "motion": ((2, sizes.motion_frames, sizes.motion_width), np.float32),
        "real": ((2,), np.int32),
        "row": ((), np.int32),
    }
    if sound:
        samples = sizes.motion_frames * FRAME_SAMPLES
        inputs["sound"] = ((2, samples), np.float32)
    else:
        shape = (2, sizes.audio_frames, sizes.audio_width)
        inputs["features"] = (shape, np.float16)
        inputs["silence"] = ((sizes.audio_width,), np.float16)
    return {
        name: jax.ShapeDtypeStruct(shape, dtype)
        for name, (shape, dtype) in inputs.items()
    }


def pairs(
    dataset: Dataset,
    split: Split,
    crop: PairCrop,
    seed: int,
    rows: Rows,
    *,
    shuffle: bool = True,
) -> grain.MapDataset:
    """Return the endless sequence of this process's batches; see `PairCrop.pair`."""
    return sequence(dataset, split, crop, seed, rows, shuffle=shuffle)


def batches(
    dataset: Dataset, crop: PairCrop, seed: int, rows: Rows
) -> grain.DatasetIterator:
    """Return an endless iterator over training batches, read ahead by threads; its
    state is its position."""
    return read_ahead(pairs(dataset, "train", crop, seed, rows))


def validation_batches(
    dataset: Dataset, crop: PairCrop, rows: Rows, count: int
) -> list[Sample]:
    """Return the same `count` batches every time, of validation clips in turn."""
    if dataset.sizes["validation"].clips == 0:
        return []
    # The seed is fixed: every run is judged by the same windows.
    order = pairs(dataset, "validation", crop, 0, rows)
    return first_batches(order, rows, count)
