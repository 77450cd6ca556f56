"""The renderer as a stage: `python -m train --stage renderer`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from flax import nnx
from jax.sharding import Mesh

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.checkpoint.description import encode_parts
from jaxportrait.models.vgg import VGG
from train.data.batches import Rows
from train.data.frames import FrameDataset, open_frames
from train.engine.config import ConfigError, as_json
from train.engine.initial import by_path, initial_weights
from train.engine.keys import Purpose, root_key
from train.engine.program import HostBatch, Program
from train.engine.stage import Batches, Description, Plot, Scores, no_scores
from train.engine.state import Params, batch_statistics_of, parameters_of
from train.renderer.config import RendererConfig
from train.renderer.data import (
    Contrast,
    batches,
    describe,
    pair_inputs,
    validation_batches,
)
from train.renderer.keypoints import keypoint_groups
from train.renderer.networks import Networks
from train.renderer.perceptual import open_vgg
from train.renderer.plot import plot_pairs
from train.renderer.step import picture, train_step, validation_error


@dataclass(frozen=True)
class RendererStage:
    """F, M, W, G and a discriminator, trained on pairs of frames.

    Attributes:
      config: options of the run.
      dataset: frames of clips.
      run: identity of the run.
      initial: weights and batch statistics to start from, by dotted path; the others
        are drawn.
      vgg: network of the perceptual loss, on the host; None without that loss.
    """

    config: RendererConfig
    dataset: FrameDataset
    run: Description
    initial: dict[str, np.ndarray]
    vgg: VGG | None

    @property
    def program(self) -> Program:
        # Operations count as the networks have them, without those done twice.
        plain = replace(self.config, remat="none", accumulation=1)
        return Program(
            partial(train_step, self.config),
            partial(validation_error, self.config),
            partial(fresh_leaves, self.config),
            self.config.optimizer,
            pair_inputs(self.dataset),
            frozen=(self.vgg,),
            plain=partial(train_step, plain),
        )

    @property
    def statistics(self) -> None:
        """None: no motion is normalised."""
        return None

    def batches(self, rows: Rows) -> Batches:
        contrast = Contrast(self.config.contrast, self.config.guided_gaps)
        workers = self.config.data_workers
        seed = self.config.seed
        return batches(self.dataset, seed, rows, workers, contrast=contrast)

    def held_out(self, rows: Rows) -> Sequence[HostBatch]:
        return validation_batches(self.dataset, rows, self.config.validation_batches)

    def scores(self, mesh: Mesh) -> Scores:
        return no_scores

    def plot(self, mesh: Mesh) -> Plot:
        return plot_pairs(partial(picture, self.config), mesh)

    def describe(self, batch: HostBatch) -> str:
        return describe(batch, self.dataset)


def fresh_leaves(config: RendererConfig) -> tuple[Params, Params]:
    """Return weights and batch statistics of newly initialised networks."""
    key = root_key(config.seed, Purpose.WEIGHTS)
    networks = Networks(config, rngs=nnx.Rngs(key))
    return parameters_of(networks), batch_statistics_of(networks)


def open_renderer(
    config: RendererConfig,
    dataset_path: Path,
    checkpoint: Path | None = None,
    init: Path | None = None,
    perceptual: Path | None = None,
) -> RendererStage:
    """Open the stage of a data set of frames.

    Args:
      config: options of the run.
      dataset_path: data set of `train.frames`.
      checkpoint: checkpoint of the parts that are not trained, for `train.export`.
      init: checkpoint to start from.
      perceptual: checkpoint that holds the VGG of the perceptual loss.

    Raises:
      ConfigError: sizes of data and networks do not fit, or a VGG has no loss, or the
        loss no VGG.
      CheckpointError: a checkpoint cannot be opened.
    """
    dataset = open_frames(dataset_path)
    check_sizes(config, dataset)
    vgg, identities = open_vgg(perceptual, config)
    initial = {} if init is None else by_path(initial_weights(init, config.sizes))
    # Opened now, so that a wrong path fails before training.
    rest = None if checkpoint is None else open_checkpoint(checkpoint)
    origin = None if init is None else open_checkpoint(init)
    # Without that loss, nothing draws keypoints to their landmarks.
    guided = config.guided if config.losses.landmarks else ()
    keypoints = keypoint_groups(guided, dataset.landmark_groups, origin, rest)
    # `train.export` reads sizes of networks and groups of keypoints from here.
    trained = {
        "image_size": config.image_size,
        "crop_zoom": dataset.zoom,
        "crop_detector": dataset.detector,
        **encode_parts(config.sizes),
    }
    run = as_json(
        {
            "stage": "renderer",
            "config": config,
            "trained": trained,
            "keypoints": asdict(keypoints),
            "dataset": dataset.identity,
            "frozen": identities,
            "checkpoint": None if rest is None else str(rest.path),
        }
    )
    return RendererStage(config, dataset, run, initial, vgg)


def check_sizes(config: RendererConfig, dataset: FrameDataset) -> None:
    """Raise a ConfigError unless the frames can be halved to the sizes that networks
    read and make, and have the landmarks that are named."""
    sizes = {
        "image_size": config.image_size,
        "the generator's pictures": config.target_size,
    }
    for name, size in sizes.items():
        if not dataset.provides(size):
            raise ConfigError(
                f"{name} of {size} pixels cannot be had by halving the {dataset.size} pixels of "
                f"{dataset.path}: make frames of another --size, or choose another image_size or "
                "generator.upscale"
            )
    # Options name landmarks by their number in the data set.
    landmarks = {
        "guided": [landmark for _, landmark in config.guided],
        "focused": config.focused,
        "folds": [landmark for fold in config.folds for landmark in fold],
        "mirrors": [landmark for pair in config.mirrors for landmark in pair],
    }
    for name, numbers in landmarks.items():
        unknown = [number for number in numbers if not 0 <= number < dataset.landmarks]
        if unknown:
            raise ConfigError(
                f"{name} names landmark {unknown[0]}, and {dataset.path} has "
                f"{dataset.landmarks}: leave it out"
            )
    if config.losses.correspondence and not dataset.landmarks:
        raise ConfigError(
            f"losses.correspondence needs landmarks, and {dataset.path} has none: set it to 0"
        )
