"""Training on pairs of frames, as the loop takes it: what the stages of the renderer and of stitching share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8

from jaxportrait.types import MotionStatistics
from train.batches import Rows, Sample
from train.config import StageConfig
from train.keys import Purpose, root_key
from train.loop import HostBatch, Task
from train.mesh import batch_sharding, place, put, state_shardings
from train.renderer.data import describe, validation_batches
from train.renderer.records import FrameDataset
from train.run import Run
from train.state import Params, TrainState, begin

PLOTTED_PAIRS = 6


@dataclass(frozen=True)
class Program:
    """The pure functions of a stage that trains on pairs of frames.

    Attributes:
      step: (*given, key, state, batch) -> the next state, and metrics.
      error: (*given, average, batch) -> the validation loss.
      picture: (*given, average, batch) -> a picture of as many rows, of equal height, as the batch has pairs.
      given: arguments that training leaves alone, such as the weights of frozen networks: pytrees of host arrays.
    """

    step: Callable[..., Any]
    error: Callable[..., Any]
    picture: Callable[..., Any]
    given: tuple[Any, ...] = field(default=(), repr=False)

    def placed(self, mesh: Mesh) -> Any:
        """`given` on every device."""
        return jax.tree.map(lambda leaf: put(leaf, NamedSharding(mesh, P())), self.given)


def compile_update(
    program: Program, state: TrainState, dataset: FrameDataset, batch_size: int, mesh: Mesh
) -> jax.stages.Compiled:
    """The program's step, compiled for (*given, key, state, batch); the state's memory is used again."""
    rows, whole = batch_sharding(mesh), NamedSharding(mesh, P())
    batch = {
        name: jax.ShapeDtypeStruct((batch_size, *shape), dtype, sharding=rows)
        for name, (shape, dtype) in pair_inputs(dataset).items()
    }
    given = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole), program.given)
    key = jax.eval_shape(lambda: jax.random.key(0))
    update = jax.jit(program.step, donate_argnums=len(given) + 1, out_shardings=(state_shardings(state, mesh), whole))
    return update.lower(*given, key, state, batch).compile()


def pair_task(
    program: Program,
    update: jax.stages.Compiled,
    config: StageConfig,
    dataset: FrameDataset,
    rows: Rows,
    mesh: Mesh,
    run: Run,
    statistics: MotionStatistics | None = None,
) -> Task:
    """The training of a program on a data set of frames."""
    key, whole, given = root_key(config.seed, Purpose.UPDATES), NamedSharding(mesh, P()), program.placed(mesh)
    found = validation_batches(dataset, rows, config.validation_batches)
    held_out = [place(read(batch, dataset), mesh) for batch in found]
    error, draw = (jax.jit(each, out_shardings=whole) for each in (program.error, program.picture))

    def validate(state: TrainState) -> float | None:
        return float(np.mean([error(*given, state.average, batch) for batch in held_out])) if held_out else None

    def plot(state: TrainState) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
        if not held_out:
            return {}
        drawn = np.asarray(draw(*given, state.average, held_out[0]))
        shown = drawn[: PLOTTED_PAIRS * (len(drawn) // config.batch_size)]
        return {"pairs": np.asarray(np.rint(255 * shown), np.uint8)}

    return Task(
        update=lambda state, batch: update(*given, key, state, place(read(batch, dataset), mesh)),
        validate=validate,
        plot=plot,
        describe=partial(describe, dataset=dataset),
        run=run,
        statistics=statistics,
    )


def pair_inputs(dataset: FrameDataset) -> dict[str, tuple[tuple[int, ...], Any]]:
    """What of a batch is put on devices: shape of a sample, and dtype."""
    size, points = dataset.size, dataset.landmarks
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {"row": ((), jnp.int32)}
    for role in ("source", "driving"):
        shapes[role] = ((size, size, 3), jnp.uint8)
        shapes[f"{role}_landmarks"] = ((points, 2), jnp.float32)
        shapes[f"{role}_pose"] = ((3,), jnp.float32)
    return shapes


def read(batch: HostBatch, dataset: FrameDataset) -> Sample:
    return {name: batch[name] for name in pair_inputs(dataset)}


def begin_from(
    fresh: tuple[Params, Params], initial: Mapping[str, np.ndarray], state: TrainState, config: StageConfig, mesh: Mesh
) -> TrainState:
    """The state before the first update, spread over the mesh.

    Args:
      fresh: weights and batch statistics.
      initial: those that stand in place of fresh ones, by dotted path.
      state: shapes of the state.
    """
    shardings = state_shardings(state, mesh)
    params, measured = (
        {name: put(initial.get(name, np.asarray(leaf)), shardings.average[name]) for name, leaf in leaves.items()}
        for leaves in fresh
    )
    first = partial(begin, config=config.optimizer)
    return jax.jit(first, out_shardings=shardings)(params, batch_statistics=measured)
