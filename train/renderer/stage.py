"""The renderer as a stage: `python -m train --stage renderer`."""

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8
from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from train.batches import Rows
from train.config import ConfigError
from train.loop import Batches, HostBatch, Task
from train.mesh import batch_sharding, place, put, spread_shapes, state_shardings
from train.renderer.config import PARTS, RendererConfig
from train.renderer.data import batches, describe, validation_batches
from train.renderer.networks import Networks
from train.renderer.records import FrameDataset, open_frames
from train.renderer.step import picture, train_step, validation_error
from train.run import Run, RunOptions, train_stage
from train.state import Params, TrainState, batch_statistics_of, begin, parameters_of

PLOTTED_PAIRS = 6


@dataclass(frozen=True)
class RendererStage:
    """F, M, W, G and a discriminator, trained on pairs of frames.

    Attributes:
      initial: weights and batch statistics to start from, by dotted path; what is not among them starts fresh.
    """

    config: RendererConfig
    dataset: FrameDataset
    run: Run
    initial: dict[str, np.ndarray]

    def batches(self, rows: Rows) -> Batches:
        return batches(self.dataset, self.config.seed, rows)

    def abstract_state(self, mesh: Mesh) -> TrainState:
        return spread_shapes(partial(fresh_state, self.config), mesh)

    def initial_state(self, mesh: Mesh) -> TrainState:
        shardings = state_shardings(self.abstract_state(mesh), mesh)
        params, measured = (
            {name: put(self.initial.get(name, fresh), shardings.average[name]) for name, fresh in leaves.items()}
            for leaves in map(on_host, fresh_leaves(self.config))
        )
        first = partial(begin, config=self.config.optimizer)
        return jax.jit(first, out_shardings=shardings)(params, batch_statistics=measured)

    def compile_update(self, mesh: Mesh) -> jax.stages.Compiled:
        state, rows, whole = self.abstract_state(mesh), batch_sharding(mesh), NamedSharding(mesh, P())
        batch = {
            name: jax.ShapeDtypeStruct((self.config.batch_size, *shape), dtype, sharding=rows)
            for name, (shape, dtype) in self._inputs().items()
        }
        key = jax.eval_shape(lambda: jax.random.key(0))
        step = partial(train_step, self.config)
        update = jax.jit(step, donate_argnums=1, out_shardings=(state_shardings(state, mesh), whole))
        return update.lower(key, state, batch).compile()

    def task(self, update: jax.stages.Compiled, rows: Rows, mesh: Mesh) -> Task:
        key, whole = jax.random.key(self.config.seed), NamedSharding(mesh, P())
        found = validation_batches(self.dataset, rows, self.config.validation_batches)
        held_out = [place(self._read(batch), mesh) for batch in found]
        error = jax.jit(partial(validation_error, self.config), out_shardings=whole)
        draw = jax.jit(partial(picture, self.config), out_shardings=whole)

        def validate(state: TrainState) -> float | None:
            return float(np.mean([error(state.average, batch) for batch in held_out])) if held_out else None

        def plot(state: TrainState) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
            if not held_out:
                return {}
            drawn = np.asarray(draw(state.average, held_out[0]))
            shown = drawn[: PLOTTED_PAIRS * self.config.output_size]
            return {"pairs": np.asarray(np.rint(255 * shown), np.uint8)}

        return Task(
            update=lambda state, batch: update(key, state, place(self._read(batch), mesh)),
            validate=validate,
            plot=plot,
            describe=lambda batch: describe(batch, self.dataset),
            run=self.run,
        )

    def _inputs(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        size, points = self.dataset.size, self.dataset.landmarks
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {"row": ((), jnp.int32)}
        for role in ("source", "driving"):
            shapes[role] = ((size, size, 3), jnp.uint8)
            shapes[f"{role}_landmarks"] = ((points, 2), jnp.float32)
            shapes[f"{role}_pose"] = ((3,), jnp.float32)
        return shapes

    def _read(self, batch: HostBatch) -> dict[str, np.ndarray]:
        return {name: batch[name] for name in self._inputs()}


def fresh_state(config: RendererConfig) -> TrainState:
    """The state before the first update; to be traced."""
    params, measured = fresh_leaves(config)
    return begin(params, config.optimizer, measured)


def fresh_leaves(config: RendererConfig) -> tuple[Params, Params]:
    """Weights and batch statistics of newly initialised networks."""
    networks = Networks(config, rngs=nnx.Rngs(config.seed))
    return parameters_of(networks), batch_statistics_of(networks)


def on_host(leaves: Params) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in leaves.items()}


def train_renderer(options: RunOptions, config: RendererConfig, console: Console) -> bool:
    """Train a renderer; whether its last step is done."""
    return train_stage(open_renderer(options, config), options, console)


def open_renderer(options: RunOptions, config: RendererConfig) -> RendererStage:
    """The stage of a data set of frames.

    Raises:
      ConfigError: sizes of data and networks that do not fit.
    """
    dataset = open_frames(options.dataset_path)
    check_sizes(config, dataset)
    initial = {} if options.init is None else initial_weights(options, config)
    portrait = replace(config.portrait, crop_zoom=dataset.zoom)
    content = {
        "stage": "renderer",
        "config": asdict(config),
        "trained": {name: value for name, value in asdict(portrait).items() if value is not None},
        "dataset": dataset.identity,
        "checkpoint": None if options.checkpoint is None else str(options.checkpoint.absolute()),
    }
    return RendererStage(config, dataset, json.loads(json.dumps(content)), initial)


def check_sizes(config: RendererConfig, dataset: FrameDataset) -> None:
    """Raise a ConfigError unless the frames can be halved to what the networks read and make."""
    for name, size in (("image_size", config.image_size), ("the generator's pictures", config.output_size)):
        if dataset.size % size or (dataset.size // size).bit_count() != 1:
            raise ConfigError(
                f"{name} of {size} pixels cannot be had by halving the {dataset.size} pixels of {dataset.path}: "
                f"make frames of another --size, or choose another image_size or generator.upscale"
            )
    if unknown := [landmark for _, landmark in config.guided if landmark >= dataset.landmarks]:
        raise ConfigError(
            f"guided names landmark {unknown[0]}, and {dataset.path} has {dataset.landmarks}: leave it out"
        )


def initial_weights(options: RunOptions, config: RendererConfig) -> dict[str, np.ndarray]:
    """F, M, W and G of the checkpoint that `--init` names, which must be of the sizes that are trained."""
    checkpoint = open_checkpoint(options.init or "")
    checkpoint.require(PARTS)
    for part in PARTS:
        if getattr(checkpoint.config, part) != getattr(config, part):
            raise ConfigError(
                f"{checkpoint.path} holds {getattr(checkpoint.config, part)}, and this run trains "
                f"{getattr(config, part)}: choose the options that agree with it"
            )
    return {f"{part}.{name}": leaf for part in PARTS for name, leaf in checkpoint.leaves(part).items()}
