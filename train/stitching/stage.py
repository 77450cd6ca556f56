"""Stitching and retargeting as a stage: `python -m train --stage stitching`."""

import json
from dataclasses import asdict, dataclass
from functools import partial

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from rich.console import Console

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.checkpoint.description import encode_parts
from jaxportrait.models.parts import RENDERER
from train.data.batches import Rows
from train.data.frames import FrameDataset, open_frames
from train.data.records import network_identity
from train.engine.config import ConfigError
from train.engine.initial import by_path, initial_weights
from train.engine.keys import Purpose, root_key
from train.engine.loop import Batches, Task
from train.engine.program import Program, make_task
from train.engine.run import Run, RunOptions, train_stage
from train.engine.state import Params, parameters_of
from train.renderer.data import batches, describe, pair_inputs, validation_batches
from train.renderer.plot import plot_pairs
from train.stitching.config import StepConfig, StitchingTrainConfig
from train.stitching.networks import Corrections
from train.stitching.step import picture, train_step, validation_error


@dataclass(frozen=True)
class StitchingStage:
    """S and R, trained on frames that faces of other clips drive.

    Attributes:
      frozen: weights and batch statistics of F, M, W and G, by dotted path.
      initial: weights to start from; what is not among them starts fresh.
    """

    config: StitchingTrainConfig
    step: StepConfig
    dataset: FrameDataset
    run: Run
    frozen: dict[str, np.ndarray]
    initial: dict[str, np.ndarray]

    def batches(self, rows: Rows) -> Batches:
        return batches(self.dataset, self.config.seed, rows)

    def task(self, update: jax.stages.Compiled, rows: Rows, mesh: Mesh) -> Task:
        return make_task(
            self.program,
            update,
            seed=self.config.seed,
            held_out=validation_batches(
                self.dataset, rows, self.config.validation_batches
            ),
            mesh=mesh,
            plot=plot_pairs(partial(picture, self.step), mesh),
            describe=partial(describe, dataset=self.dataset),
            run=self.run,
        )

    @property
    def program(self) -> Program:
        step, error = (
            partial(train_step, self.step),
            partial(validation_error, self.step),
        )
        fresh, inputs = partial(fresh_leaves, self.step), pair_inputs(self.dataset)
        return Program(
            step, error, fresh, self.config.optimizer, inputs, given=(self.frozen,)
        )


def fresh_leaves(config: StepConfig) -> tuple[Params, Params]:
    """Weights of newly initialised S and R, which measure nothing."""
    return parameters_of(
        Corrections(
            config, rngs=nnx.Rngs(root_key(config.training.seed, Purpose.WEIGHTS))
        )
    ), {}


def train_stitching(
    options: RunOptions, config: StitchingTrainConfig, console: Console
) -> bool:
    """Train stitching and retargeting networks; whether their last step is done."""
    return train_stage(open_stitching(options, config), options, console)


def open_stitching(options: RunOptions, config: StitchingTrainConfig) -> StitchingStage:
    """The stage of a data set of frames and a checkpoint that holds a renderer.

    Raises:
      ConfigError: they do not belong together, or there is no checkpoint.
    """
    if options.checkpoint is None:
        raise ConfigError(
            "--checkpoint is missing: pass one that holds a renderer, as `train.export` makes it"
        )
    dataset, checkpoint = (
        open_frames(options.dataset_path),
        open_checkpoint(options.checkpoint),
    )
    checkpoint.require(RENDERER)
    check_frames(config, dataset, checkpoint)
    renderer = {part: checkpoint.sizes(part) for part in RENDERER}
    step = StepConfig(config, renderer, checkpoint.crop.image_size)
    return StitchingStage(
        config,
        step,
        dataset,
        describe_run(step, dataset, checkpoint),
        by_path({part: checkpoint.leaves(part) for part in RENDERER}),
        {}
        if options.init is None
        else by_path(initial_weights(options.init, step.sizes)),
    )


def describe_run(
    step: StepConfig, dataset: FrameDataset, checkpoint: Checkpoint
) -> Run:
    """What a run is; `check_unchanged` compares its config and its data set."""
    content = {
        "stage": "stitching",
        "config": asdict(step.training),
        "trained": encode_parts(step.sizes),
        "dataset": dataset.identity,
        "frozen": {part: network_identity(checkpoint, part) for part in RENDERER},
        "checkpoint": str(checkpoint.path),
    }
    return json.loads(json.dumps(content))


def check_frames(
    config: StitchingTrainConfig, dataset: FrameDataset, checkpoint: Checkpoint
) -> None:
    """Raise a ConfigError unless the frames are as the renderer reads them, and have
    the landmarks that are named."""
    size, zoom = checkpoint.crop.image_size, checkpoint.crop.zoom
    if not dataset.provides(size):
        raise ConfigError(
            f"the {size} pixels that {checkpoint.path} reads cannot be had by halving the {dataset.size} of "
            f"{dataset.path}: make frames of another --size"
        )
    if dataset.zoom != zoom:
        raise ConfigError(
            f"faces of {dataset.path} are cut out at a zoom of {dataset.zoom}, and {checkpoint.path} reads {zoom}: "
            "pass the frames that the renderer was trained on, or make others with its zoom"
        )
    keypoints = checkpoint.sizes("motion").keypoints
    if unknown := [
        keypoint for keypoint, _ in config.guided if not 0 <= keypoint < keypoints
    ]:
        raise ConfigError(
            f"guided names keypoint {unknown[0]}, and {checkpoint.path} has {keypoints}: leave it out"
        )
    if unknown := [
        landmark
        for landmark in config.landmarks
        if not 0 <= landmark < dataset.landmarks
    ]:
        raise ConfigError(
            f"jaw, guided, eyes or lips name landmark {unknown[0]}, and {dataset.path} has {dataset.landmarks}: "
            "leave it out"
        )
