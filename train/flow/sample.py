"""Pictures and films of the motion that averaged weights make of held-out clips'
sound."""

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int

from jaxportrait.drivers.flow import STEPS
from jaxportrait.drivers.flow_program import sample_motion
from jaxportrait.drivers.windows import WindowPlan, plan_windows
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    MotionStatistics,
    value_name,
)
from train.data.dataset import Dataset
from train.data.records import ClipRecord
from train.data.silence import quietest_feature, with_silence
from train.engine.journal import pixels, plot_motion
from train.engine.keys import Purpose, root_key
from train.engine.stage import Pictures
from train.engine.state import Params
from train.flow.step import build

if TYPE_CHECKING:
    from train.engine.studio import Studio

SAMPLED_FRAMES = 120
PLOTTED_VALUES = 4


class Sampler(Protocol):
    """Motion by a transformer with weights of its own, of audio features."""

    def __call__(
        self,
        statistics: MotionStatistics,
        features: Float[np.ndarray, "features a"],
        count: np.int32,
        *,
        plan: WindowPlan,
    ) -> Float[Array, "frames d"]: ...


@cache
def make_sampler(
    transformer: FlowTransformerConfig, guidance: float, mesh: Mesh
) -> Callable[..., Float[Array, "frames d"]]:
    """Return the jitted `sample_average` of a mesh, one for plots and scores: both have
    windows of the same plan.

    Args:
      transformer: config of the network.
      guidance: scale of classifier-free guidance.
    """
    return jax.jit(
        partial(sample_average, transformer, guidance),
        static_argnames="plan",
        out_shardings=NamedSharding(mesh, P()),
    )


def plot_sample(
    transformer: FlowTransformerConfig, space: str, dataset: Dataset, sample: Sampler
) -> Pictures:
    """Plot the first held-out clip's motion, sampled from its sound, against the truth:
    the values that vary most.

    Args:
      transformer: config of the network.
      space: name of the motion space that it makes.
      dataset: data set of the clip.
      sample: `sample_average` of the weights to look at.
    """
    record = next(dataset.clips(dataset.shown_split))
    columns = list(MOTION_SPACES[space].columns)
    truth = record.motion[:SAMPLED_FRAMES, columns]
    statistics = dataset.statistics(space)
    motion = sample_clip(transformer, sample, record, len(truth), statistics)
    # The values that vary most, in a stable order.
    liveliest = np.argsort(-truth.std(axis=0), kind="stable")[:PLOTTED_VALUES]
    names = [value_name(columns[index]) for index in liveliest]
    figure = plot_motion(truth[:, liveliest], motion[:, liveliest], names, MOTION_FPS)
    return {"motion": pixels(figure)}


def film_samples(
    transformer: FlowTransformerConfig,
    space: str,
    dataset: Dataset,
    sample: Sampler,
    studio: "Studio",
) -> Pictures:
    """Film held-out clips' motion, sampled from their sound, beside the truth.

    Every process samples, and only the first one renders.

    Args:
      transformer: config of the network.
      space: name of the motion space that it makes.
      dataset: data set of the clips.
      sample: `sample_average` of the weights to look at.
      studio: the portrait that moves.
    """
    films = {}
    motion_space = MOTION_SPACES[space]
    for record in dataset.evenly_spaced(dataset.shown_split, studio.clips):
        truth = record.motion[:SAMPLED_FRAMES, list(motion_space.columns)]
        motion = sample_clip(
            transformer, sample, record, len(truth), dataset.statistics(space)
        )
        if jax.process_index() == 0:
            films[f"film/{record.clip}"] = studio.compare(
                record.clip, truth, motion, motion_space, MOTION_FPS
            )
    return films


def sample_clip(
    transformer: FlowTransformerConfig,
    sample: Sampler,
    record: ClipRecord,
    frames: int,
    statistics: MotionStatistics,
) -> Float[np.ndarray, "frames d"]:
    """Sample the motion of a clip's first `frames` frames; `quietest_feature` follows
    its sound."""
    # Features are padded to the plan's length, which few programs share.
    plan, count = plan_windows(frames, transformer)
    used = plan.features_of(count)
    features = record.features.astype(np.float32)
    padded = np.zeros((plan.features, transformer.audio_width), np.float32)
    padded[:used] = with_silence(features, quietest_feature(record), used)
    motion = sample(statistics, padded, np.int32(count), plan=plan)
    return np.asarray(motion)[:frames]


def sample_average(
    transformer: FlowTransformerConfig,
    guidance: float,
    params: Params,
    statistics: MotionStatistics,
    features: Float[Array, "features a"],
    count: Int[Array, ""],
    *,
    plan: WindowPlan,
) -> Float[Array, "frames d"]:
    """Sample motion by a transformer with these weights; see `sample_motion` for
    details."""
    return sample_motion(
        build(transformer, params),
        statistics,
        features,
        root_key(0, Purpose.PLOTS),
        count,
        jnp.float32(guidance),
        plan=plan,
        steps=STEPS,
        guided=guidance > 1,
    )
