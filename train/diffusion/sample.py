"""Motion that a denoiser makes of a clip of a data set, and a picture of it."""

from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32

from jaxportrait.drivers.diffusion_program import sample_features
from jaxportrait.drivers.windows import plan_windows
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics, value_name
from train.data.dataset import Dataset
from train.data.records import ClipRecord
from train.data.silence import quietest_feature, with_silence
from train.diffusion.data import FPS, cut_sound, resample_frames
from train.diffusion.step import DENOISER, ENCODER, StepConfig, build
from train.engine.journal import pixels, plot_motion
from train.engine.keys import Purpose, root_key
from train.engine.program import Frozen
from train.engine.stage import HeldOut, Pictures, Plot
from train.engine.state import Params

PLOTTED_FRAMES = 100
PLOTTED_VALUES = 4
# As inference samples by default.
GUIDANCE = 2.0


def plot_clip(
    step: StepConfig,
    space: str,
    statistics: MotionStatistics,
    dataset: Dataset,
    mesh: Mesh,
) -> Plot:
    """Return the function that plots a held-out clip's sampled motion: `motion`."""
    # A data set of one clip may hold none out.
    split = "validation" if dataset.sizes["validation"].clips else "train"
    record = next(dataset.clips(split))
    whole = resample_frames(record.motion)[:PLOTTED_FRAMES]
    truth = np.asarray(MOTION_SPACES[space].select(whole))
    windows = clip_windows(step, record, len(truth))
    # Compiled at the first plot.
    sample = jax.jit(
        partial(sample_average, step, len(truth)),
        out_shardings=NamedSharding(mesh, P()),
    )

    def plot(frozen: Frozen, average: Params, held_out: HeldOut) -> Pictures:
        # Values after the motion space are padding.
        motion = np.asarray(sample(average, *frozen, windows))[:, : step.width]
        motion = motion * np.asarray(statistics.std) + np.asarray(statistics.mean)
        # The values that vary most, in a stable order.
        liveliest = np.argsort(-truth.std(axis=0), kind="stable")[:PLOTTED_VALUES]
        columns = MOTION_SPACES[space].columns
        names = [value_name(columns[index]) for index in liveliest]
        figure = plot_motion(truth[:, liveliest], motion[:, liveliest], names, FPS)
        return {"motion": pixels(figure)}

    return plot


def clip_windows(
    step: StepConfig, record: ClipRecord, frames: int
) -> Float32[np.ndarray, "capacity s ..."]:
    """Return the features of a clip's windows, or their sound; silence follows it."""
    sizes = step.sizes[DENOISER]
    plan, _ = plan_windows(frames, sizes)
    if ENCODER in step.sizes:
        sound = cut_sound(record, 0, plan.frames)
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
    frames: int,
    params: Params,
    frozen: Params,
    windows: Float[Array, "capacity s ..."],
) -> Float[Array, "frames d"]:
    """Return the normalised motion that networks with these weights make of windows."""
    networks = build(step, params | frozen)
    features = windows if networks.encoder is None else networks.encode(windows)
    key = root_key(0, Purpose.PLOTS)
    return sample_features(networks.denoiser, features, frames, key, GUIDANCE)
