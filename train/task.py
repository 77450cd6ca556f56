"""The flow transformer's training, as the loop takes it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, UInt8

from jaxportrait.models.config import MOTION_FPS, MOTION_SPACES, FlowTransformerConfig
from jaxportrait.models.parts import abstract, build
from jaxportrait.pipeline.sample import WindowPlan, plan_windows, sample_motion
from jaxportrait.types import MotionStatistics
from train.batches import Rows
from train.config import TrainConfig
from train.data import NETWORK_INPUTS, WINDOW_FEATURES, describe, validation_batches
from train.evaluate.clips import quietest_feature, with_silence
from train.keys import Purpose, root_key
from train.logging import pixels, plot_motion
from train.loop import HostBatch, Task
from train.mesh import batch_sharding, place, put, spread_shapes, state_shardings
from train.records import WINDOW_FRAMES, ClipRecord, Dataset
from train.state import Params, TrainState, begin, network_of, parameters_of
from train.step import StepConfig, train_step, validation_loss

PLOTTED_FRAMES, PLOTTED_VALUES, PLOTTED_STEPS, PLOTTED_GUIDANCE = 120, 4, 25, 4.5


def step_config(config: TrainConfig, transformer: FlowTransformerConfig) -> StepConfig:
    return StepConfig(transformer, config.optimizer, config.condition_dropout, config.accumulation, config.dtype)


def fresh_state(config: StepConfig, seed: int) -> TrainState:
    """The state of a newly initialised transformer; to be traced, so that no device need hold all of it."""
    network = build("flow_transformer", config.transformer, rngs=nnx.Rngs(root_key(seed, Purpose.WEIGHTS)))
    return begin(parameters_of(network), config.optimizer)


def abstract_state(config: StepConfig, mesh: Mesh) -> TrainState:
    """Shapes, dtypes and shardings of a state."""
    return spread_shapes(partial(fresh_state, config, 0), mesh)


def initial_state(config: StepConfig, mesh: Mesh, seed: int, params: Mapping[str, np.ndarray] | None) -> TrainState:
    """The state before the first update, spread over the mesh.

    Args:
      params: to start from; freshly initialised where there are none.
    """
    shardings = state_shardings(abstract_state(config, mesh), mesh)
    if params is None:
        return jax.jit(partial(fresh_state, config, seed), out_shardings=shardings)()
    spread = {name: put(np.asarray(leaf, np.float32), shardings.params[name]) for name, leaf in params.items()}
    return jax.jit(partial(begin, config=config.optimizer), out_shardings=shardings)(spread)


def compile_update(config: StepConfig, mesh: Mesh, batch_size: int) -> jax.stages.Compiled:
    """`train_step` compiled for (key, state, batch); the state's memory is used again."""
    state, whole = abstract_state(config, mesh), NamedSharding(mesh, P())
    transformer, rows = config.transformer, batch_sharding(mesh)

    def array(shape: tuple[int, ...], dtype: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((batch_size, *shape), dtype, sharding=rows)

    batch = {
        "motion": array((WINDOW_FRAMES, transformer.motion_width), jnp.float32),
        "features": array((WINDOW_FEATURES, transformer.audio_width), jnp.float16),
        "row": array((), jnp.int32),
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    update = jax.jit(partial(train_step, config), donate_argnums=1, out_shardings=(state_shardings(state, mesh), whole))
    return update.lower(key, state, batch).compile()


def flow_task(
    config: TrainConfig,
    step: StepConfig,
    update: jax.stages.Compiled,
    dataset: Dataset,
    rows: Rows,
    mesh: Mesh,
    run: Mapping[str, Any],
) -> Task:
    """The training of a flow transformer on a data set."""
    key = root_key(config.seed, Purpose.UPDATES)
    space = step.transformer.motion_space
    held_out = [
        place(inputs(batch), mesh) for batch in validation_batches(dataset, space, rows, config.validation_batches)
    ]
    whole = NamedSharding(mesh, P())
    evaluate = jax.jit(partial(validation_loss, step), out_shardings=whole)
    sample = jax.jit(partial(sample_average, step), static_argnames="plan", out_shardings=whole)

    def validate(state: TrainState) -> float | None:
        return float(np.mean([evaluate(state.average, batch) for batch in held_out])) if held_out else None

    return Task(
        update=lambda state, batch: update(key, state, place(inputs(batch), mesh)),
        validate=validate,
        plot=lambda state: plot_sample(step.transformer, dataset, partial(sample, state.average)),
        describe=lambda batch: describe(batch, dataset),
        run=run,
        statistics=dataset.statistics(space),
    )


def plot_sample(
    transformer: FlowTransformerConfig, dataset: Dataset, sample: Callable[..., Array]
) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """The first held-out clip's motion, sampled from its sound, against the truth: `motion`.

    The values that vary most are shown.

    Args:
      sample: `sample_average` of the weights that are looked at.
    """
    split = "validation" if dataset.sizes["validation"].clips else "train"
    record, columns = next(dataset.clips(split)), list(MOTION_SPACES[transformer.motion_space].columns)
    truth = record.motion[:PLOTTED_FRAMES, columns]
    sampled = sample_clip(transformer, sample, record, len(truth), dataset.statistics(transformer.motion_space))
    shown = np.argsort(-truth.std(axis=0), kind="stable")[:PLOTTED_VALUES]
    names = [value_name(columns[index]) for index in shown]
    return {"motion": pixels(plot_motion(truth[:, shown], sampled[:, shown], names, MOTION_FPS))}


def sample_clip(
    transformer: FlowTransformerConfig,
    sample: Callable[..., Array],
    record: ClipRecord,
    frames: int,
    statistics: MotionStatistics,
) -> Float[np.ndarray, "frames d"]:
    """The motion of a clip's first `frames` frames; `quietest_feature` follows its sound."""
    plan, count = plan_windows(frames, transformer)
    used = plan.features_of(count)
    padded = np.zeros((plan.features, transformer.audio_width), np.float32)
    padded[:used] = with_silence(record.features.astype(np.float32), quietest_feature(record), used)
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
    """Motion by a transformer with these weights, of audio features; `sample_motion` says the same more generally."""
    return sample_motion(
        network_of(abstract("flow_transformer", config.transformer), params),
        statistics,
        features,
        root_key(0, Purpose.PLOTS),
        count,
        jnp.float32(PLOTTED_GUIDANCE),
        plan=plan,
        steps=PLOTTED_STEPS,
        guided=True,
    )


def value_name(column: int) -> str:
    """What one of the 70 values of a frame is."""
    if column < 63:
        return f"expression {column // 3} {'xyz'[column % 3]}"
    return ("pitch", "yaw", "roll", "translation x", "translation y", "translation z", "scale")[column - 63]


def inputs(batch: HostBatch) -> dict[str, np.ndarray]:
    """What of a batch the networks read."""
    return {name: batch[name] for name in NETWORK_INPUTS}
