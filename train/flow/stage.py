"""The flow transformer as a stage: `python -m train` without another `--stage`."""

import json
from dataclasses import asdict, dataclass
from functools import partial

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from rich.console import Console

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.checkpoint.description import encode_parts
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.parts import build
from train.data.batches import Rows
from train.data.records import Dataset, check_encoder, open_dataset
from train.engine.config import ConfigError, apply
from train.engine.initial import initial_weights
from train.engine.keys import Purpose, root_key
from train.engine.loop import Batches, Task
from train.engine.program import Program, make_task
from train.engine.run import Run, RunOptions, train_stage
from train.engine.state import Params, parameters_of
from train.flow.config import FlowConfig
from train.flow.data import batches, describe, validation_batches, window_inputs
from train.flow.sample import plot_sample, sample_average
from train.flow.step import StepConfig, train_step, validation_loss

FAR = 1.0
"""Deviations by which the motion of a checkpoint may differ from the data set's,
without a word."""


@dataclass(frozen=True)
class FlowStage:
    """A flow transformer, trained on windows of motion and audio features.

    Attributes:
      initial: weights to start from; what is not among them starts fresh.
    """

    config: FlowConfig
    step: StepConfig
    dataset: Dataset
    run: Run
    initial: dict[str, np.ndarray]

    def batches(self, rows: Rows) -> Batches:
        return batches(self.dataset, self.space, self.config.seed, rows)

    def task(self, update: jax.stages.Compiled, rows: Rows, mesh: Mesh) -> Task:
        transformer, dataset = self.step.transformer, self.dataset
        space, count = self.space, self.config.validation_batches
        sample = jax.jit(
            partial(sample_average, self.step),
            static_argnames="plan",
            out_shardings=NamedSharding(mesh, P()),
        )
        return make_task(
            self.program,
            update,
            seed=self.config.seed,
            held_out=validation_batches(dataset, space, rows, count),
            mesh=mesh,
            plot=lambda _, average, __: plot_sample(
                transformer, space, dataset, partial(sample, average)
            ),
            describe=partial(describe, dataset=dataset),
            run=self.run,
            statistics=dataset.statistics(space),
        )

    @property
    def space(self) -> str:
        """Name of the motion space: the data set's where the options named none."""
        return self.config.motion_space or self.dataset.motion_space

    @property
    def program(self) -> Program:
        return flow_program(self.step, self.config.seed)


def flow_program(config: StepConfig, seed: int) -> Program:
    def fresh() -> tuple[Params, Params]:
        network = build(
            config.transformer,
            rngs=nnx.Rngs(root_key(seed, Purpose.WEIGHTS)),
        )
        return parameters_of(network), {}

    step, error = partial(train_step, config), partial(validation_loss, config)
    return Program(
        step, error, fresh, config.optimizer, window_inputs(config.transformer)
    )


def train_flow(options: RunOptions, config: FlowConfig, console: Console) -> bool:
    """Train a flow transformer; whether its last step is done."""
    stage = open_flow(options, config)
    if options.init is not None:
        distance = statistics_apart(open_checkpoint(options.init), stage)
        if distance > FAR:
            console.print(
                f"note: {options.init} was trained on motion whose mean lies {distance:.1f} deviations from this data "
                "set's: it has to learn that first"
            )
    return train_stage(stage, options, console)


def statistics_apart(checkpoint: Checkpoint, stage: FlowStage) -> float:
    """How far a checkpoint's mean motion is from the data set's, in the latter's
    deviations, where it is farthest."""
    statistics = checkpoint.driver().statistics
    if statistics is None:
        return 0.0
    own = stage.dataset.statistics(stage.space)
    deviation = np.where(np.asarray(own.std) > 0, own.std, 1)
    return float(np.max(np.abs(np.asarray(statistics.mean) - own.mean) / deviation))


def open_flow(options: RunOptions, config: FlowConfig) -> FlowStage:
    """The stage of a data set and of the checkpoint that its features were made with.

    Raises:
      ConfigError, DatasetError: they do not belong together, or there is no checkpoint.
    """
    if options.checkpoint is None:
        raise ConfigError(
            "--checkpoint is missing: pass the checkpoint that the videos were processed with"
        )
    dataset, frozen = (
        open_dataset(options.dataset_path),
        open_checkpoint(options.checkpoint),
    )
    check_encoder(dataset, frozen)
    space = config.motion_space or dataset.motion_space
    config = apply(config, {"motion_space": space}, str(dataset.path))
    transformer = config.transformer.config(space, dataset.feature_width)
    part = "flow_transformer"
    initial = (
        {}
        if options.init is None
        else initial_weights(options.init, {part: transformer})[part]
    )
    run = describe_run(config, transformer, dataset, frozen)
    step = StepConfig(
        transformer,
        config.optimizer,
        condition_dropout=config.condition_dropout,
        accumulation=config.accumulation,
        dtype=config.dtype,
    )
    return FlowStage(config, step, dataset, run, initial)


def describe_run(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    dataset: Dataset,
    frozen: Checkpoint,
) -> Run:
    """What a run is; `check_unchanged` compares its config and its data set."""
    sizes = {split: asdict(size) for split, size in dataset.sizes.items()}
    content = {
        "stage": "flow",
        "config": asdict(config),
        "trained": encode_parts({"flow_transformer": transformer}),
        "dataset": {
            "audio_encoder": dataset.audio_encoder,
            "sizes": sizes,
            "mean": dataset.mean.tolist(),
        },
        "checkpoint": str(frozen.path),
    }
    return json.loads(json.dumps(content))
