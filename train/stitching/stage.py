"""Stitching and retargeting as a stage: `python -m train --stage stitching`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from flax import nnx
from jax.sharding import Mesh

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.checkpoint.description import encode_parts
from jaxportrait.models.parts import RENDERER
from train.data.batches import Rows
from train.data.dataset import network_identity
from train.data.frames import FrameDataset, open_frames
from train.engine.config import ConfigError, as_json
from train.engine.initial import by_path, initial_weights
from train.engine.keys import Purpose, root_key
from train.engine.program import HostBatch, Program
from train.engine.stage import Batches, Description, Plot, Scores, no_scores
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
      step: options of the run, and sizes of the frozen networks.
      dataset: frames of clips.
      run: identity of the run.
      frozen: weights and batch statistics of F, M, W and G, by dotted path.
      initial: weights to start from, by dotted path; the others are drawn.
    """

    step: StepConfig
    dataset: FrameDataset
    run: Description
    frozen: dict[str, np.ndarray]
    initial: dict[str, np.ndarray]

    @property
    def config(self) -> StitchingTrainConfig:
        return self.step.training

    @property
    def statistics(self) -> None:
        """None: no motion is normalised."""
        return None

    @property
    def program(self) -> Program:
        return Program(
            partial(train_step, self.step),
            partial(validation_error, self.step),
            partial(fresh_leaves, self.step),
            self.config.optimizer,
            pair_inputs(self.dataset),
            frozen=(self.frozen,),
        )

    def batches(self, rows: Rows) -> Batches:
        workers = self.config.data_workers
        return batches(self.dataset, self.config.seed, rows, workers)

    def held_out(self, rows: Rows) -> Sequence[HostBatch]:
        return validation_batches(self.dataset, rows, self.config.validation_batches)

    def scores(self, mesh: Mesh) -> Scores:
        return no_scores

    def plot(self, mesh: Mesh) -> Plot:
        return plot_pairs(partial(picture, self.step), mesh)

    def describe(self, batch: HostBatch) -> str:
        return describe(batch, self.dataset)


def fresh_leaves(config: StepConfig) -> tuple[Params, Params]:
    """Return weights of newly initialised S and R, which have no batch statistics."""
    # Frozen networks are no part of the state.
    key = root_key(config.training.seed, Purpose.WEIGHTS)
    return parameters_of(Corrections(config, rngs=nnx.Rngs(key))), {}


def open_stitching(
    config: StitchingTrainConfig,
    dataset_path: Path,
    checkpoint: Path | None,
    init: Path | None = None,
) -> StitchingStage:
    """Open the stage of a data set of frames and a checkpoint that holds a renderer.

    Args:
      config: options of the run.
      dataset_path: data set of `train.frames`.
      checkpoint: checkpoint that holds F, M, W and G.
      init: checkpoint to start from.

    Raises:
      ConfigError: they do not belong together, or there is no checkpoint.
    """
    if checkpoint is None:
        raise ConfigError(
            "--checkpoint is missing: pass one that holds a renderer, as `train.export` makes it"
        )
    dataset = open_frames(dataset_path)
    renderer = open_checkpoint(checkpoint)
    renderer.require(RENDERER)
    check_frames(config, dataset, renderer)
    # Of the checkpoint's parts, only the renderer is read by an update.
    sizes = {part: renderer.sizes(part) for part in RENDERER}
    step = StepConfig(config, sizes, renderer.crop.image_size)
    return StitchingStage(
        step,
        dataset,
        describe_run(step, dataset, renderer),
        frozen=by_path({part: renderer.leaves(part) for part in RENDERER}),
        initial={} if init is None else by_path(initial_weights(init, step.sizes)),
    )


def describe_run(
    step: StepConfig, dataset: FrameDataset, checkpoint: Checkpoint
) -> Description:
    """Return the identity of a run; `check_unchanged` compares its config, its data set
    and the renderer."""
    return as_json(
        {
            "stage": "stitching",
            "config": step.training,
            "trained": encode_parts(step.sizes),
            "dataset": dataset.identity,
            "frozen": {part: network_identity(checkpoint, part) for part in RENDERER},
            "checkpoint": str(checkpoint.path),
        }
    )


def check_frames(
    config: StitchingTrainConfig, dataset: FrameDataset, checkpoint: Checkpoint
) -> None:
    """Raise a ConfigError unless the frames are as the renderer reads them, and have
    the keypoints and landmarks that are named."""
    # Pictures first, then keypoints and landmarks that the options name.
    size, zoom = checkpoint.crop.image_size, checkpoint.crop.zoom
    if not dataset.provides(size):
        raise ConfigError(
            f"the {size} pixels that {checkpoint.path} reads cannot be had by halving the "
            f"{dataset.size} of {dataset.path}: make frames of another --size"
        )
    if dataset.zoom != zoom:
        raise ConfigError(
            f"faces of {dataset.path} are cut out at a zoom of {dataset.zoom}, and "
            f"{checkpoint.path} reads {zoom}: pass the frames that the renderer was trained on, "
            "or make others with its zoom"
        )
    keypoints = checkpoint.sizes("motion").keypoints
    unknown = [point for point, _ in config.guided if not 0 <= point < keypoints]
    if unknown:
        raise ConfigError(
            f"guided names keypoint {unknown[0]}, and {checkpoint.path} has {keypoints}: leave it out"
        )
    unknown = [mark for mark in config.landmarks if not 0 <= mark < dataset.landmarks]
    if unknown:
        raise ConfigError(
            f"jaw, guided, eyes or lips name landmark {unknown[0]}, and {dataset.path} has "
            f"{dataset.landmarks}: leave it out"
        )
