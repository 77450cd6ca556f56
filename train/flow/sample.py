"""The motion that a run's averaged weights make of a held-out clip's sound, as a
picture."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from jaxportrait.drivers.flow import sample_motion
from jaxportrait.drivers.windows import WindowPlan, plan_windows
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.parts import abstract
from jaxportrait.motion.space import (
    MOTION_FPS,
    MOTION_SPACES,
    MotionStatistics,
    value_name,
)
from train.data.records import ClipRecord, Dataset
from train.data.silence import quietest_feature, with_silence
from train.engine.journal import pixels, plot_motion
from train.engine.keys import Purpose, root_key
from train.engine.state import Params, network_of
from train.flow.step import StepConfig

PLOTTED_FRAMES, PLOTTED_VALUES, PLOTTED_STEPS, PLOTTED_GUIDANCE = 120, 4, 25, 4.5


def plot_sample(
    transformer: FlowTransformerConfig,
    space: str,
    dataset: Dataset,
    sample: Callable[..., Array],
) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """The first held-out clip's motion, sampled from its sound, against the truth:
    `motion`.

    The values that vary most are shown.

    Args:
      space: name of the motion space that the transformer makes.
      sample: `sample_average` of the weights that are looked at.
    """
    split = "validation" if dataset.sizes["validation"].clips else "train"
    record, columns = (
        next(dataset.clips(split)),
        list(MOTION_SPACES[space].columns),
    )
    truth = record.motion[:PLOTTED_FRAMES, columns]
    sampled = sample_clip(
        transformer,
        sample,
        record,
        len(truth),
        dataset.statistics(space),
    )
    shown = np.argsort(-truth.std(axis=0), kind="stable")[:PLOTTED_VALUES]
    names = [value_name(columns[index]) for index in shown]
    return {
        "motion": pixels(
            plot_motion(truth[:, shown], sampled[:, shown], names, MOTION_FPS)
        )
    }


def sample_clip(
    transformer: FlowTransformerConfig,
    sample: Callable[..., Array],
    record: ClipRecord,
    frames: int,
    statistics: MotionStatistics,
) -> Float[np.ndarray, "frames d"]:
    """The motion of a clip's first `frames` frames; `quietest_feature` follows its
    sound."""
    plan, count = plan_windows(frames, transformer)
    used = plan.features_of(count)
    padded = np.zeros((plan.features, transformer.audio_width), np.float32)
    padded[:used] = with_silence(
        record.features.astype(np.float32), quietest_feature(record), used
    )
    return np.asarray(sample(statistics, padded, np.int32(count), plan=plan))[:frames]


def sample_average(
    config: StepConfig,
    params: Params,
    statistics: MotionStatistics,
    features: Float[Array, "features a"],
    count: Int[Array, ""],
    *,
    plan: WindowPlan,
) -> Float[Array, "frames d"]:
    """Motion by a transformer with these weights, of audio features; `sample_motion`
    says the same more generally."""
    return sample_motion(
        network_of(abstract(config.transformer), params),
        statistics,
        features,
        root_key(0, Purpose.PLOTS),
        count,
        jnp.float32(PLOTTED_GUIDANCE),
        plan=plan,
        steps=PLOTTED_STEPS,
        guided=True,
    )
