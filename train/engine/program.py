"""A stage's pure functions as programs: compiled for a mesh, started, and given to the
loop.

What is trained is known here by shapes alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, UInt8

from jaxportrait.motion.space import MotionStatistics
from train.data.batches import Sample
from train.engine.config import ConfigError, OptimizerConfig
from train.engine.keys import Purpose, root_key
from train.engine.loop import HostBatch, Task
from train.engine.mesh import batch_sharding, place, put, spread_shapes, state_shardings
from train.engine.state import Params, TrainState, begin

Inputs = Mapping[str, tuple[tuple[int, ...], Any]]
"""What of a batch is put on devices, by name: shape of a sample, and dtype."""
Given = tuple[Any, ...]
HeldOut = Sequence[Mapping[str, Array]]
Plot = Callable[[Given, Params, HeldOut], Mapping[str, UInt8[np.ndarray, "h w 3"]]]
"""(given, average, held-out batches) -> pictures of what the averaged weights make, by
name."""


@dataclass(frozen=True)
class Program:
    """The pure functions of a stage, and what they read.

    Attributes:
      step: (*given, key, state, batch) -> the next state, and metrics.
      error: (*given, average, batch) -> the validation loss.
      fresh: -> weights and batch statistics of newly initialised networks.
      optimizer: of the state before the first update.
      inputs: what `step` and `error` read of a batch.
      given: arguments that training leaves alone, such as the weights of frozen
        networks: pytrees of host arrays.
    """

    step: Callable[..., Any]
    error: Callable[..., Any]
    fresh: Callable[[], tuple[Params, Params]]
    optimizer: OptimizerConfig
    inputs: Inputs
    given: Given = field(default=(), repr=False)

    def place(self, batch: HostBatch, mesh: Mesh) -> dict[str, Array]:
        """What of a batch is read, spread over the mesh; the rest says what it is made
        of."""
        return place({name: batch[name] for name in self.inputs}, mesh)

    def abstract_state(self, mesh: Mesh) -> TrainState:
        """Shapes, dtypes and shardings of the state."""
        return spread_shapes(lambda: self._begin(*self.fresh()), mesh)

    def initial_state(
        self, mesh: Mesh, initial: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> TrainState:
        """The state before the first update, drawn where the mesh keeps it.

        Args:
          initial: weights and batch statistics that stand in place of fresh ones, by
            dotted path.

        Raises:
          ConfigError: the networks have no such leaf.
        """
        state = self.abstract_state(mesh)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
        if unknown := sorted(initial.keys() - state.average.keys()):
            raise ConfigError(
                f"the weights to start from hold {unknown[0]}, which the networks of this run lack"
            )

        def draw() -> list[Params]:
            return [
                {name: leaf for name, leaf in leaves.items() if name not in initial}
                for leaves in self.fresh()
            ]

        kinds = (state.params, state.batch_statistics)
        missing = [
            {name: shardings.average[name] for name in kind if name not in initial}
            for kind in kinds
        ]
        params, measured = (
            drawn
            | {
                name: put(np.asarray(initial[name]), shardings.average[name])
                for name in kind
                if name in initial
            }
            for kind, drawn in zip(
                kinds, jax.jit(draw, out_shardings=missing)(), strict=True
            )
        )
        return jax.jit(self._begin, out_shardings=shardings, donate_argnums=(0, 1))(
            params, measured
        )

    def lower_update(self, batch_size: int, mesh: Mesh) -> jax.stages.Lowered:
        """The step of (*given, key, state, batch), for the mesh's devices; the state's
        memory is used again."""
        rows, whole = batch_sharding(mesh), NamedSharding(mesh, P())
        batch = {
            name: jax.ShapeDtypeStruct((batch_size, *shape), dtype, sharding=rows)
            for name, (shape, dtype) in self.inputs.items()
        }
        given = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole),
            self.given,
        )
        key, state = (
            jax.eval_shape(lambda: jax.random.key(0)),
            self.abstract_state(mesh),
        )
        update = jax.jit(
            self.step,
            donate_argnums=len(given) + 1,
            out_shardings=(state_shardings(state, mesh), whole),
        )
        return update.lower(*given, key, state, batch)

    def _begin(self, params: Params, batch_statistics: Params) -> TrainState:
        return begin(params, self.optimizer, batch_statistics)


def make_task(
    program: Program,
    update: jax.stages.Compiled,
    *,
    seed: int,
    held_out: Sequence[Sample],
    mesh: Mesh,
    plot: Plot,
    describe: Callable[[HostBatch], str],
    run: Mapping[str, Any],
    statistics: MotionStatistics | None = None,
) -> Task:
    """A program as the loop takes it.

    Args:
      update: the program's, compiled for this mesh.
      held_out: batches of the validation loss; without any there is none.
    """
    key, whole = root_key(seed, Purpose.UPDATES), NamedSharding(mesh, P())
    given = jax.tree.map(lambda leaf: put(leaf, whole), program.given)
    batches = [program.place(batch, mesh) for batch in held_out]
    error = jax.jit(program.error, out_shardings=whole)

    def validate(state: TrainState) -> float | None:
        return (
            float(np.mean([error(*given, state.average, batch) for batch in batches]))
            if batches
            else None
        )

    return Task(
        update=lambda state, batch: update(
            *given, key, state, program.place(batch, mesh)
        ),
        validate=validate,
        plot=lambda state: plot(given, state.average, batches),
        describe=describe,
        run=run,
        statistics=statistics,
    )
