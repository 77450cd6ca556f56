"""Motion that a denoiser makes of clips of a data set, a picture and films of it."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, UInt8

from jaxportrait.drivers.diffusion_program import sample_features
from jaxportrait.drivers.windows import plan_windows
from jaxportrait.motion.space import (
    MOTION_SPACES,
    MotionSpace,
    MotionStatistics,
    denormalize,
    value_name,
)
from train.data.dataset import Dataset
from train.data.records import ClipRecord
from train.data.silence import quietest_feature, with_silence
from train.diffusion.config import DENOISER, ENCODER
from train.diffusion.data import FPS, pad_sound, resample_frames
from train.diffusion.networks import StepConfig, build
from train.engine.journal import pixels, plot_motion
from train.engine.keys import Purpose, root_key
from train.engine.program import Frozen
from train.engine.stage import HeldOut, Pictures, Plot
from train.engine.state import Params
from train.engine.writers import Film

if TYPE_CHECKING:
    from train.engine.studio import Studio

PLOTTED_FRAMES = 100
PLOTTED_VALUES = 4


@dataclass(frozen=True)
class Shown:
    """A clip whose motion is shown.

    Attributes:
      name: name of the clip.
      truth: its motion in the motion space, at the network's rate.
      windows: features or sound of its windows.
    """

    name: str
    truth: Float32[np.ndarray, "frames d"]
    windows: Float32[np.ndarray, "capacity s ..."]


def plot_clips(
    step: StepConfig,
    space: str,
    statistics: MotionStatistics,
    dataset: Dataset,
    guidance: float,
    mesh: Mesh,
    studio: "Studio | None" = None,
) -> Plot:
    """Return the function that plots a held-out clip's sampled motion, `motion`, and
    films it and others where there is a studio.

    Every process samples, and only the first one renders.

    Args:
      step: options of the run, and sizes of the networks.
      space: name of the motion space.
      statistics: normalisation of the motion.
      dataset: data set of the clips.
      guidance: scale of classifier-free guidance.
      mesh: devices of the run.
      studio: the portrait that moves.
    """
    motion_space = MOTION_SPACES[space]
    count = 1 if studio is None else studio.clips
    shown = [
        show_clip(step, motion_space, record)
        for record in dataset.evenly_spaced(dataset.shown_split, count)
    ]
    # Compiled at the first plot, for each length of a clip.
    sample = jax.jit(
        partial(sample_average, step, guidance),
        static_argnames="frames",
        out_shardings=NamedSharding(mesh, P()),
    )

    def plot(frozen: Frozen, average: Params, held_out: HeldOut) -> Pictures:
        pictures: dict[str, UInt8[np.ndarray, "h w 3"] | Film] = {}
        for clip in shown:
            frames = len(clip.truth)
            values = sample(average, *frozen, clip.windows, frames=frames)
            # Values after the motion space are padding.
            motion = np.asarray(denormalize(values[:, : step.width], statistics))
            if clip is shown[0]:
                pictures["motion"] = plot_values(motion_space, clip.truth, motion)
            if studio is not None and jax.process_index() == 0:
                pictures[f"film/{clip.name}"] = studio.compare(
                    clip.name, clip.truth, motion, motion_space, FPS
                )
        return pictures

    return plot


def show_clip(step: StepConfig, space: MotionSpace, record: ClipRecord) -> Shown:
    """Return the first seconds of a clip."""
    whole = resample_frames(record.motion)[:PLOTTED_FRAMES]
    truth = np.asarray(space.select(whole))
    return Shown(record.clip, truth, clip_windows(step, record, len(truth)))


def plot_values(
    space: MotionSpace, truth: np.ndarray, motion: np.ndarray
) -> UInt8[np.ndarray, "h w 3"]:
    """Plot the values that vary most, in a stable order."""
    liveliest = np.argsort(-truth.std(axis=0), kind="stable")[:PLOTTED_VALUES]
    names = [value_name(space.columns[index]) for index in liveliest]
    figure = plot_motion(truth[:, liveliest], motion[:, liveliest], names, FPS)
    return pixels(figure)


def clip_windows(
    step: StepConfig, record: ClipRecord, frames: int
) -> Float32[np.ndarray, "capacity s ..."]:
    """Return the features of a clip's windows, or their sound; silence follows it."""
    sizes = step.sizes[DENOISER]
    plan, _ = plan_windows(frames, sizes)
    if ENCODER in step.sizes:
        sound = pad_sound(record, plan.frames)
        # Samples of a frame.
        share = len(sound) // plan.frames
        starts = np.arange(plan.capacity) * plan.stride * share
        length = sizes.motion_frames * share
        return np.stack([sound[start : start + length] for start in starts])
    features = record.features.astype(np.float32)
    whole = with_silence(features, quietest_feature(record), plan.features)
    return whole[plan.feature_index]


def sample_average(
    step: StepConfig,
    guidance: float,
    params: Params,
    frozen: Params,
    windows: Float[Array, "capacity s ..."],
    *,
    frames: int,
) -> Float[Array, "frames d"]:
    """Return the normalised motion that networks with these weights make of windows."""
    networks = build(step, params | frozen)
    features = windows if networks.encoder is None else networks.encode(windows)
    key = root_key(0, Purpose.PLOTS)
    return sample_features(networks.denoiser, features, frames, key, guidance)
