"""Pairs of windows of motion at 25 frames a second and their sound, in batches; see
`train.data.batches` for their order."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    Batches,
    BatchSource,
    Rows,
    Sample,
    first_batches,
    stack,
)
from train.data.dataset import Dataset
from train.data.records import WINDOW_STEP, ClipRecord
from train.data.sequence import sequence
from train.data.shards import DatasetError, Split
from train.data.silence import with_silence
from train.data.windows import Needs, Window
from train.engine.program import Inputs

FPS = 25
FRAME_SAMPLES = SAMPLE_RATE // FPS
FACE = MOTION_SPACES["face"]


@dataclass(frozen=True)
class PairCut:
    """Pairs of successive windows of a clip.

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

    @property
    def frames(self) -> int:
        """Frames of a pair at 30 a second."""
        return -(-2 * self.sizes.motion_frames * MOTION_FPS // FPS)

    @property
    def needs(self) -> Needs:
        """The sound, or else the feature that stands for silence."""
        return Needs(sound=self.sound, silence=not self.sound)

    def count(self, frames: int) -> int:
        """Return the number of samples of a clip: one for every 3 frames, so that clips
        count by their length, however short."""
        return max(1, frames // WINDOW_STEP)

    def start(self, frames: int, number: int) -> int:
        """Return the start of a sample: the samples are spread over the starts, of which
        a short clip has only one."""
        starts = max(0, frames - self.frames) // WINDOW_STEP + 1
        return WINDOW_STEP * (number * starts // self.count(frames))

    def batch(self, windows: Sequence[Window]) -> Sample:
        """Return pairs; see `pair` for their arrays."""
        return stack([self.pair(window) for window in windows])

    def pair(self, window: Window) -> dict[str, np.ndarray]:
        """Return the windows of a pair: `motion` (2, t, d), `real` (2,), and `features`
        (2, s, a) with `silence` (a,), or `sound` (2, samples)."""
        sizes = self.sizes
        motion = resample_frames(window.motion)[: 2 * sizes.motion_frames]
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
            **self._audio(window),
        }

    def _audio(self, window: Window) -> dict[str, np.ndarray]:
        if self.sound:
            samples = pad_sound(window, 2 * self.sizes.motion_frames)
            return {"sound": samples.reshape(2, -1)}
        silence = window.silence
        assert silence is not None
        count = 2 * self.sizes.audio_frames
        # The clip's own silence follows it, not zeros.
        whole = with_silence(window.features, silence, count)
        return {
            "features": whole.reshape(2, -1, silence.size),
            "silence": silence,
        }


def resample_frames(
    motion: Float32[np.ndarray, "n 70"],
) -> Float32[np.ndarray, "m 70"]:
    """Return the frames of a record at 25 a second, as many as it covers."""
    clip = MotionClip.from_values(motion, FACE, MOTION_FPS)
    # The last of them starts with or before the last stored frame.
    count = (len(motion) - 1) * FPS // MOTION_FPS + 1
    return clip.resample(FPS, count).to_frames()


def pad_sound(
    window: Window | ClipRecord, frames: int
) -> Float32[np.ndarray, " samples"]:
    """Return the sound of the first frames of a window or clip, so many at 25 a second;
    silence follows a clip.

    Raises:
      DatasetError: the clip has no sound.
    """
    if window.sound is None:
        raise DatasetError(
            f"clip {window.clip} has no sound: process the videos again with their sound, or train on stored features"
        )
    count = frames * FRAME_SAMPLES
    # 16-bit samples of full scale.
    scaled = window.sound[:count].astype(np.float32) / 32_768
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
    cut: PairCut,
    seed: int,
    rows: Rows,
    *,
    shuffle: bool = True,
) -> BatchSource:
    """Return the endless sequence of this process's batches; see `PairCut.pair`."""
    return sequence(dataset, split, cut, seed, rows, shuffle=shuffle)


def batches(
    dataset: Dataset, cut: PairCut, seed: int, rows: Rows, workers: int = 0
) -> Batches:
    """Return an endless iterator over training batches, read ahead by `workers`
    processes or by threads; its state is its position."""
    return Batches(pairs(dataset, "train", cut, seed, rows), workers)


def validation_batches(
    dataset: Dataset, cut: PairCut, rows: Rows, count: int
) -> list[Sample]:
    """Return the same `count` batches every time, of validation clips in turn."""
    if dataset.sizes["validation"].clips == 0:
        return []
    # The seed is fixed: every run is judged by the same windows.
    order = pairs(dataset, "validation", cut, 0, rows)
    return first_batches(order, count)
