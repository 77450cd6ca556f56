"""The renderer as a stage: `python -m train --stage renderer`."""

import json
from dataclasses import asdict, dataclass
from functools import partial

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.checkpoint.description import encode_parts
from jaxportrait.models.vgg import VGG
from train.data.batches import Rows
from train.data.frames import FrameDataset, open_frames
from train.engine.config import ConfigError
from train.engine.initial import by_path, initial_weights
from train.engine.keys import Purpose, root_key
from train.engine.loop import Batches, Task
from train.engine.program import Program, make_task
from train.engine.run import Run, RunOptions, train_stage
from train.engine.state import Params, batch_statistics_of, parameters_of
from train.renderer.config import RendererConfig
from train.renderer.data import (
    Contrast,
    batches,
    describe,
    pair_inputs,
    validation_batches,
)
from train.renderer.networks import Networks
from train.renderer.perceptual import open_vgg
from train.renderer.plot import plot_pairs
from train.renderer.step import picture, train_step, validation_error


@dataclass(frozen=True)
class RendererStage:
    """F, M, W, G and a discriminator, trained on pairs of frames.

    Attributes:
      initial: weights and batch statistics to start from, by dotted path; what is not
        among them starts fresh.
      vgg: of the perceptual loss, on the host, where that counts.
    """

    config: RendererConfig
    dataset: FrameDataset
    run: Run
    initial: dict[str, np.ndarray]
    vgg: VGG | None

    def batches(self, rows: Rows) -> Batches:
        contrast = Contrast(self.config.contrast, self.config.guided_gaps)
        return batches(self.dataset, self.config.seed, rows, contrast=contrast)

    def task(self, update: jax.stages.Compiled, rows: Rows, mesh: Mesh) -> Task:
        config = self.config
        return make_task(
            self.program,
            update,
            seed=config.seed,
            held_out=validation_batches(self.dataset, rows, config.validation_batches),
            mesh=mesh,
            plot=plot_pairs(
                lambda _, average, batch: picture(config, average, batch), mesh
            ),
            describe=partial(describe, dataset=self.dataset),
            run=self.run,
        )

    @property
    def program(self) -> Program:
        config = self.config
        return Program(
            partial(train_step, config),
            lambda _, average, batch: validation_error(config, average, batch),
            partial(fresh_leaves, config),
            config.optimizer,
            pair_inputs(self.dataset),
            given=(self.vgg,),
        )


def fresh_leaves(config: RendererConfig) -> tuple[Params, Params]:
    """Weights and batch statistics of newly initialised networks."""
    networks = Networks(config, rngs=nnx.Rngs(root_key(config.seed, Purpose.WEIGHTS)))
    return parameters_of(networks), batch_statistics_of(networks)


def train_renderer(
    options: RunOptions, config: RendererConfig, console: Console
) -> bool:
    """Train a renderer; whether its last step is done."""
    return train_stage(open_renderer(options, config), options, console)


def open_renderer(options: RunOptions, config: RendererConfig) -> RendererStage:
    """The stage of a data set of frames.

    Raises:
      ConfigError: sizes of data and networks that do not fit, or a VGG without its
        loss, or the other way round.
      CheckpointError: there is none to take the other parts from, where one is named.
    """
    dataset = open_frames(options.dataset_path)
    check_sizes(config, dataset)
    vgg, frozen = open_vgg(options.perceptual, config)
    initial = (
        {}
        if options.init is None
        else by_path(initial_weights(options.init, config.sizes))
    )
    content = {
        "stage": "renderer",
        "config": asdict(config),
        "trained": {
            "image_size": config.image_size,
            "crop_zoom": dataset.zoom,
            **encode_parts(config.sizes),
        },
        "dataset": dataset.identity,
        "frozen": frozen,
        "checkpoint": None
        if options.checkpoint is None
        else str(open_checkpoint(options.checkpoint).path),
    }
    return RendererStage(config, dataset, json.loads(json.dumps(content)), initial, vgg)


def check_sizes(config: RendererConfig, dataset: FrameDataset) -> None:
    """Raise a ConfigError unless the frames can be halved to what the networks read and
    make."""
    for name, size in (
        ("image_size", config.image_size),
        ("the generator's pictures", config.target_size),
    ):
        if not dataset.provides(size):
            raise ConfigError(
                f"{name} of {size} pixels cannot be had by halving the {dataset.size} pixels of {dataset.path}: "
                f"make frames of another --size, or choose another image_size or generator.upscale"
            )
    named = {
        "guided": [landmark for _, landmark in config.guided],
        "focused": config.focused,
        "folds": [landmark for fold in config.folds for landmark in fold],
    }
    for name, landmarks in named.items():
        if unknown := [
            landmark for landmark in landmarks if not 0 <= landmark < dataset.landmarks
        ]:
            raise ConfigError(
                f"{name} names landmark {unknown[0]}, and {dataset.path} has {dataset.landmarks}: leave it out"
            )
    if config.losses.correspondence and not dataset.landmarks:
        raise ConfigError(
            f"losses.correspondence needs landmarks, and {dataset.path} has none: set it to 0"
        )
