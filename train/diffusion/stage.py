"""The denoiser as a stage: `python -m train --stage diffusion`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from flax import nnx
from jax.sharding import Mesh

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.checkpoint.description import encode_parts
from jaxportrait.drivers.diffusion_config import DiffusionDriverConfig
from jaxportrait.models.hubert import HubertConfig
from jaxportrait.models.motion_diffusion import MotionDiffusionConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from train.data.batches import Rows, clip_names
from train.data.dataset import (
    Dataset,
    find_encoder,
    network_identity,
)
from train.data.shards import DatasetError
from train.diffusion.config import (
    DENOISER,
    ENCODER,
    SPACE,
    DenoiserSize,
    DiffusionConfig,
)
from train.diffusion.data import PairCut, batches, pair_inputs, validation_batches
from train.diffusion.networks import StepConfig
from train.diffusion.sample import plot_clips
from train.diffusion.step import DIFFUSION, train_step, validation_loss
from train.engine.adapters import choose_targets
from train.engine.config import ConfigError, as_json
from train.engine.initial import (
    StatisticsSource,
    by_path,
    check_source,
    check_start,
    describe_differences,
    driver_guidance,
    initial_motion,
    initial_weights,
)
from train.engine.keys import Purpose, root_key
from train.engine.program import HostBatch, Program
from train.engine.stage import Batches, Description, Plot, Scores, no_scores
from train.engine.state import Params, parameters_of

if TYPE_CHECKING:
    from train.engine.studio import Studio

ADAPTED = tuple(
    f"*.blocks.*.{layer}.kernel"
    for layer in ("qkv", "out", "audio_value", "audio_out", "expand", "project")
)
"""Kernels of attention and MLPs, which adapters target by default."""
Weights = dict[str, np.ndarray]


@dataclass(frozen=True)
class DiffusionStage:
    """A denoiser, trained on pairs of windows of motion and their sound.

    Attributes:
      step: options of the run, and sizes of the networks.
      space: name of the motion space.
      statistics: normalisation of the motion.
      dataset: motion, audio features and sound of clips.
      run: identity of the run.
      initial: weights to start from, by dotted path; the others are drawn.
      frozen: weights of an encoder that does not learn, by dotted path.
      guidance: scale of classifier-free guidance of what is sampled, as in inference.
      studio: makes films of sampled motion; None where none are wanted.
    """

    step: StepConfig
    space: str
    statistics: MotionStatistics
    dataset: Dataset
    run: Description
    initial: Weights
    frozen: Weights
    guidance: float = DiffusionDriverConfig.cfg_scale
    studio: "Studio | None" = None

    @property
    def config(self) -> DiffusionConfig:
        return self.step.training

    @property
    def sizes(self) -> MotionDiffusionConfig:
        return self.step.sizes[DENOISER]

    @property
    def reads_sound(self) -> bool:
        return ENCODER in self.step.sizes

    @property
    def program(self) -> Program:
        return diffusion_program(self.step, self.frozen)

    @property
    def cut(self) -> PairCut:
        """The cut of a pair of windows."""
        return PairCut(self.sizes, self.space, self.statistics, self.reads_sound)

    def batches(self, rows: Rows) -> Batches:
        config = self.config
        workers = config.data_workers
        return batches(self.dataset, self.cut, config.seed, rows, workers)

    def held_out(self, rows: Rows) -> Sequence[HostBatch]:
        count = self.config.validation_batches
        return validation_batches(self.dataset, self.cut, rows, count)

    def scores(self, mesh: Mesh) -> Scores:
        # The loss ranks checkpoints.
        return no_scores

    def plot(self, mesh: Mesh) -> Plot:
        return plot_clips(
            self.step,
            self.space,
            self.statistics,
            self.dataset,
            self.guidance,
            mesh,
            self.studio,
        )

    def describe(self, batch: HostBatch) -> str:
        names = clip_names(self.dataset, batch["clip"])
        starts = batch["start"].tolist()
        pairs = zip(names, starts, strict=True)
        return ", ".join(f"{name} at frame {start}" for name, start in pairs)


def diffusion_program(step: StepConfig, frozen: Weights) -> Program:
    """Return the pure functions of a denoiser's training."""
    return Program(
        partial(train_step, step),
        partial(validation_loss, step),
        partial(fresh_leaves, step),
        step.training.optimizer,
        pair_inputs(step.sizes[DENOISER], sound=ENCODER in step.sizes),
        frozen=(frozen,),
        lora=choose_targets(step.training.lora, ADAPTED),
        seed=step.training.seed,
    )


def fresh_leaves(step: StepConfig) -> tuple[Params, Params]:
    """Return weights of newly initialised networks, which have no batch statistics."""
    key = root_key(step.training.seed, Purpose.WEIGHTS)
    rngs = nnx.Rngs(key)
    leaves = {}
    # Names begin with their part.
    for part in trained_parts(step):
        network = build(step.sizes[part], rngs=rngs)
        for name, leaf in parameters_of(network).items():
            leaves[f"{part}.{name}"] = leaf
    return leaves, {}


def trained_parts(step: StepConfig) -> dict[str, Any]:
    """Return the sizes of the parts that learn."""
    learns = step.training.encoder == "trained"
    return {
        part: sizes for part, sizes in step.sizes.items() if part == DENOISER or learns
    }


def open_diffusion(
    config: DiffusionConfig,
    open_data: Callable[[], Dataset],
    checkpoint: Path | None,
    init: Path | None,
    source: StatisticsSource | None = None,
) -> DiffusionStage:
    """Open the stage of a data set, and of the checkpoint that holds the audio encoder.

    Args:
      config: options of the run.
      open_data: opens the data set, which may be a mixture.
      checkpoint: checkpoint with the encoder that made the data set's features, or with
        the HuBERT that encodes its sound.
      init: checkpoint to start from, whose sizes and motion space the run has.
      source: statistics by which the motion is normalised: those of `init` by default.

    Raises:
      ConfigError: there is no checkpoint, the networks are of other sizes, or there is
        nothing to choose statistics from.
      DatasetError: the features are of another encoder.
    """
    if checkpoint is None:
        raise ConfigError(
            "--checkpoint is missing: pass the checkpoint that the videos were processed with"
        )
    check_source(source, init)
    check_start(config.lora, init)
    dataset = open_data()
    rest = open_checkpoint(checkpoint)
    # Features are stored, or made of sound within the step.
    encoder = step_encoder(config, dataset, rest)
    width = dataset.feature_width if encoder is None else encoder.width
    space, statistics = SPACE, None
    sizes: dict[str, Any] = {DENOISER: config.denoiser.config(width)}
    # A denoiser that exists keeps its sizes and, unless told otherwise, its scale of
    # motion.
    if init is not None:
        start = open_checkpoint(init)
        # A checkpoint without a denoiser is named first.
        space, statistics = initial_motion(start, DENOISER)
        sizes[DENOISER] = initial_sizes(config, start, width)
    if statistics is None or source == "data":
        statistics = dataset.statistics(space)
    if encoder is not None:
        sizes[ENCODER] = encoder
        check_window(encoder, sizes[DENOISER])
    expression = tuple(MOTION_SPACES[space].expression.tolist())
    step = StepConfig(config, sizes, expression)
    parts = trained_parts(step)
    weights: dict[str, Mapping[str, np.ndarray]] = {}
    # An encoder that learns starts from the checkpoint's, or from that of `init`.
    if encoder is not None:
        weights[ENCODER] = rest.leaves(ENCODER)
    if init is not None:
        weights |= initial_weights(init, parts)
    # What does not learn is passed to every step.
    frozen = {part: leaves for part, leaves in weights.items() if part not in parts}
    initial = {part: leaves for part, leaves in weights.items() if part in parts}
    run = describe_run(step, space, statistics, dataset, rest)
    return DiffusionStage(
        step,
        space,
        statistics,
        dataset,
        run,
        by_path(initial),
        by_path(frozen),
        driver_guidance(rest, DIFFUSION, DiffusionDriverConfig),
    )


def step_encoder(
    config: DiffusionConfig, dataset: Dataset, checkpoint: Checkpoint
) -> HubertConfig | None:
    """Return the HuBERT that runs within the step; None for stored features."""
    if config.encoder == "stored":
        find_encoder(dataset, checkpoint)
        return None
    if ENCODER not in checkpoint.parts:
        raise ConfigError(
            f"encoder is {config.encoder!r}, and {checkpoint.path} holds no {ENCODER}: pass one that does, or train on "
            "stored features"
        )
    # The first batch would find out later.
    for part, _ in dataset.parts:
        if not all(entry.has_sound for entry in part.records("train").entries):
            raise DatasetError(
                f"encoder is {config.encoder!r}, and {part.path} has clips without sound: process the videos again and "
                "keep their sound, or train on stored features"
            )
    return checkpoint.sizes(ENCODER)


def check_window(encoder: HubertConfig, denoiser: MotionDiffusionConfig) -> None:
    """Raise a ConfigError unless an encoder reads the denoiser's windows."""
    if encoder.context != denoiser.audio_frames:
        raise ConfigError(
            f"the windows of {ENCODER} have {encoder.context} features, and those of the denoiser "
            f"{denoiser.audio_frames}: choose {encoder.context // 2} frames"
        )


def initial_sizes(
    config: DiffusionConfig, start: Checkpoint, width: int
) -> MotionDiffusionConfig:
    """Return the sizes of the denoiser to start from.

    Raises:
      ConfigError: it reads other features, or the options name other sizes.
    """
    sizes = start.sizes(DENOISER)
    if sizes.audio_width != width:
        raise ConfigError(
            f"{start.path} reads features of {sizes.audio_width} values, and these have {width}: choose the encoder "
            "that it was trained with"
        )
    chosen = config.denoiser.config(width)
    if config.denoiser != DenoiserSize() and chosen != sizes:
        raise ConfigError(
            f"{start.path} holds another {DENOISER} than the options name: "
            f"{describe_differences(sizes, chosen)}: leave out the sizes"
        )
    return sizes


def describe_run(
    step: StepConfig,
    space: str,
    statistics: MotionStatistics,
    dataset: Dataset,
    checkpoint: Checkpoint,
) -> Description:
    """Return the identity of a run; `check_unchanged` compares its config, its data
    set and a frozen encoder."""
    frozen = [part for part in step.sizes if part not in trained_parts(step)]
    return as_json(
        {
            "stage": "diffusion",
            "config": step.training,
            "trained": encode_parts(trained_parts(step)),
            "space": space,
            "statistics": np.asarray(statistics.mean).tolist(),
            "dataset": dataset.identity,
            "frozen": {part: network_identity(checkpoint, part) for part in frozen},
            "checkpoint": str(checkpoint.path),
        }
    )
