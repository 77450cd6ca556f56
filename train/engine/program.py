"""A stage's pure functions, and the programs that they become on a mesh.

The networks are known here only by the shapes of their weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from train.engine.adapters import draw_adapters, merge_adapters
from train.engine.config import LOSS, ConfigError, LoraConfig, OptimizerConfig
from train.engine.keys import Purpose, root_key
from train.engine.mesh import (
    batch_sharding,
    place_batch,
    place_whole,
    shard_shapes,
    shardings_of,
)
from train.engine.operations import count_operations
from train.engine.state import Params, TrainState, begin
from train.engine.trainable import split

HostBatch = Mapping[str, np.ndarray]
Inputs = Mapping[str, jax.ShapeDtypeStruct]
"""Arrays of a sample that a step reads, by name, without the axis of samples."""
Frozen = tuple[Any, ...]
"""Pytrees of arrays that training leaves as they are."""


@dataclass(frozen=True)
class Program:
    """The pure functions of a stage, and their inputs.

    Attributes:
      step: (*frozen, key, state, batch) -> the next state, and metrics.
      error: (*frozen, average, batch) -> the validation loss.
      lora: adapters that are trained in place of the weights.
      seed: seed of the adapters.
      probes: further errors of the same arguments, by name, such as that without sound.
      fresh: () -> weights and batch statistics of newly initialised networks.
      optimizer: options of the optimizer.
      inputs: arrays of a batch that `step` and `error` read.
      frozen: arguments that training leaves as they are, such as the weights of frozen
        networks: pytrees of host arrays.
      plain: `step` with nothing computed twice, whose operations are counted; `step`
        itself by default.
    """

    step: Callable[..., Any]
    error: Callable[..., Any]
    fresh: Callable[[], tuple[Params, Params]]
    optimizer: OptimizerConfig
    inputs: Inputs
    frozen: Frozen = field(default=(), repr=False)
    probes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    lora: LoraConfig = field(default_factory=LoraConfig)
    seed: int = 0
    plain: Callable[..., Any] | None = None

    def on(self, mesh: Mesh) -> "MeshProgram":
        """Return the program on a mesh, with its networks traced."""
        return MeshProgram(self, mesh)


class MeshProgram:
    """A program whose state and batches lie on a mesh.

    Attributes:
      mesh: devices of the run.
      state: shapes, dtypes and shardings of the state.
    """

    def __init__(self, program: Program, mesh: Mesh):
        self.mesh = mesh
        self._program = program
        self._whole = NamedSharding(mesh, P())
        # Building networks takes seconds: their trace is kept, and drawn from later.
        self._trace, shapes = jax.make_jaxpr(program.fresh, return_shape=True)()
        self._layout = jax.tree.structure(shapes)
        self._fresh: tuple[Params, Params] = shard_shapes(shapes, mesh)
        self.state: TrainState = shard_shapes(
            jax.eval_shape(self._begin, *shapes), mesh
        )

    @cached_property
    def frozen(self) -> Frozen:
        """The arguments that training leaves as they are, on every device."""
        place = partial(place_whole, sharding=self._whole)
        return jax.tree.map(place, self._program.frozen)

    def initial_state(
        self, initial: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> TrainState:
        """Return the state before the first update, drawn where the mesh keeps it.

        Args:
          initial: weights and batch statistics in place of drawn ones, by dotted path.

        Raises:
          ConfigError: the networks have no such leaf.
        """
        params, measured = self._fresh
        layout: Any = shardings_of(params | measured)
        unknown = sorted(initial.keys() - layout.keys())
        if unknown:
            raise ConfigError(
                f"the weights to start from hold {unknown[0]}, which the networks of this run lack"
            )
        weights = {
            name: place_whole(np.asarray(leaf), layout[name])
            for name, leaf in initial.items()
        }
        weights |= self._draw(layout.keys() - initial.keys())
        # Both dictionaries are donated: weights are large.
        begin_sharded = jax.jit(
            self._begin, out_shardings=shardings_of(self.state), donate_argnums=(0, 1)
        )
        return begin_sharded(
            {name: weights[name] for name in params},
            {name: weights[name] for name in measured},
        )

    def averaged(self, state: TrainState) -> Params:
        """Return the averaged weights and batch statistics of the whole networks, with
        adapters merged."""
        whole = state.average | state.fixed
        return self._merge(whole) if self._program.lora.rank else whole

    def place(self, batch: HostBatch) -> dict[str, Array]:
        """Return the arrays of a batch that a step reads, sharded over the mesh."""
        inputs = {name: batch[name] for name in self._program.inputs}
        return place_batch(inputs, self.mesh)

    def lower_update(self, batch_size: int) -> jax.stages.Lowered:
        """Return the step of (*frozen, key, state, batch), which uses the state's
        memory again."""
        arguments = self._shapes(batch_size)
        update = jax.jit(
            self._program.step,
            # The state comes after the frozen arguments and the key.
            donate_argnums=len(arguments) - 2,
            out_shardings=(shardings_of(self.state), self._whole),
        )
        return update.lower(*arguments)

    def operations(self, batch_size: int) -> float:
        """Return the operations of an update on each device; see
        `train.engine.operations` for what counts."""
        step = self._program.plain or self._program.step
        program = jax.make_jaxpr(step)(*self._shapes(batch_size))
        return count_operations(program) / self.mesh.size

    def _shapes(self, batch_size: int) -> tuple[Any, ...]:
        """Return the shapes of the frozen arguments, key, state and batch."""
        rows = batch_sharding(self.mesh)
        batch = {
            name: jax.ShapeDtypeStruct(
                (batch_size, *sample.shape), sample.dtype, sharding=rows
            )
            for name, sample in self._program.inputs.items()
        }
        # Shapes in place of arrays: nothing is computed, and no device is needed.
        frozen = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=self._whole
            ),
            self._program.frozen,
        )
        key = jax.eval_shape(lambda: jax.random.key(0))
        return (*frozen, key, self.state, batch)

    def errors(self) -> dict[str, Callable[..., Array]]:
        """Return jitted errors of (*frozen, average, batch): the validation loss and
        the program's probes."""
        errors = {LOSS: self._program.error, **self._program.probes}
        return {
            name: jax.jit(error, out_shardings=self._whole)
            for name, error in errors.items()
        }

    @cached_property
    def _merge(self) -> Callable[[Params], Params]:
        merge = partial(merge_adapters, config=self._program.lora)
        return jax.jit(merge, out_shardings=shardings_of(self._fresh[0]))

    def _draw(self, names: set[str]) -> Params:
        """Draw the fresh weights and batch statistics of these names."""

        def draw() -> Params:
            # XLA drops the draws of names that are not asked for.
            leaves = jaxpr_as_fun(self._trace)()
            params, measured = jax.tree.unflatten(self._layout, leaves)
            drawn = params | measured
            return {name: drawn[name] for name in names}

        params, measured = self._fresh
        shardings = shardings_of(params | measured)
        selected = {name: shardings[name] for name in names}
        return jax.jit(draw, out_shardings=selected)()

    def _begin(self, params: Params, batch_statistics: Params) -> TrainState:
        program = self._program
        optimizer = program.optimizer
        if program.lora.rank:
            key = root_key(program.seed, Purpose.ADAPTERS)
            adapters = draw_adapters(params, program.lora, key)
            return begin(adapters, optimizer, batch_statistics, params)
        trained, fixed = split(params, optimizer.hold)
        return begin(trained, optimizer, batch_statistics, fixed)
