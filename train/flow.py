"""The flow transformer as a stage: `python -m train` without another `--stage`."""

import json
from dataclasses import asdict, dataclass

import jax
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.models.config import FlowTransformerConfig
from train.batches import Rows
from train.config import ConfigError, TrainConfig, apply
from train.data import batches
from train.initial import initial_weights
from train.loop import Batches, Task
from train.records import Dataset, check_encoder, open_dataset
from train.run import Run, RunOptions, train_stage
from train.state import TrainState
from train.step import StepConfig
from train.task import abstract_state, compile_update, flow_task, initial_state, step_config

FAR = 1.0
"""Deviations by which the motion of a checkpoint may differ from the data set's, without a word."""


@dataclass(frozen=True)
class FlowStage:
    """A flow transformer, trained on windows of motion and audio features.

    Attributes:
      initial: weights to start from; fresh ones where there are none.
    """

    config: TrainConfig
    step: StepConfig
    dataset: Dataset
    run: Run
    initial: dict[str, np.ndarray] | None = None

    def batches(self, rows: Rows) -> Batches:
        return batches(self.dataset, self.step.transformer.motion_space, self.config.seed, rows)

    def abstract_state(self, mesh: Mesh) -> TrainState:
        return abstract_state(self.step, mesh)

    def initial_state(self, mesh: Mesh) -> TrainState:
        return initial_state(self.step, mesh, self.config.seed, self.initial)

    def compile_update(self, mesh: Mesh) -> jax.stages.Compiled:
        return compile_update(self.step, mesh, self.config.batch_size)

    def task(self, update: jax.stages.Compiled, rows: Rows, mesh: Mesh) -> Task:
        return flow_task(self.config, self.step, update, self.dataset, rows, mesh, self.run)


def train_transformer(options: RunOptions, config: TrainConfig, console: Console) -> bool:
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
    """How far a checkpoint's mean motion is from the data set's, in the latter's deviations, where it is farthest."""
    if checkpoint.statistics is None:
        return 0.0
    own = stage.dataset.statistics(stage.step.transformer.motion_space)
    deviation = np.where(np.asarray(own.std) > 0, own.std, 1)
    return float(np.max(np.abs(np.asarray(checkpoint.statistics.mean) - own.mean) / deviation))


def open_flow(options: RunOptions, config: TrainConfig) -> FlowStage:
    """The stage of a data set and of the checkpoint that its features were made with.

    Raises:
      ConfigError, DatasetError: they do not belong together, or there is no checkpoint.
    """
    if options.checkpoint is None:
        raise ConfigError("--checkpoint is missing: pass the checkpoint that the videos were processed with")
    dataset, frozen = open_dataset(options.dataset_path), open_checkpoint(options.checkpoint)
    check_encoder(dataset, frozen)
    space = config.motion_space or dataset.motion_space
    config = apply(config, {"motion_space": space}, str(dataset.path))
    transformer = config.transformer.config(space, dataset.feature_width)
    part = "flow_transformer"
    initial = None if options.init is None else initial_weights(options.init, {part: transformer})[part]
    run = describe_run(config, transformer, dataset, frozen)
    return FlowStage(config, step_config(config, transformer), dataset, run, initial)


def describe_run(config: TrainConfig, transformer: FlowTransformerConfig, dataset: Dataset, frozen: Checkpoint) -> Run:
    """What a run is; `check_unchanged` compares its config and its data set."""
    sizes = {split: asdict(size) for split, size in dataset.sizes.items()}
    content = {
        "stage": "flow",
        "config": asdict(config),
        "trained": {"flow_transformer": asdict(transformer)},
        "dataset": {"audio_encoder": dataset.audio_encoder, "sizes": sizes, "mean": dataset.mean.tolist()},
        "checkpoint": str(frozen.path),
    }
    return json.loads(json.dumps(content))
