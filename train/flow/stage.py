"""The flow transformer as a stage: `python -m train` without another `--stage`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from flax import nnx
from jax.sharding import Mesh
from rich.console import Console

from jaxportrait.checkpoint import DRIVER, Checkpoint, open_checkpoint
from jaxportrait.checkpoint.description import encode_parts
from jaxportrait.drivers.flow import FlowDriverConfig
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from train.data.batches import Rows
from train.data.dataset import Dataset, find_encoder
from train.engine.adapters import choose_targets
from train.engine.config import ConfigError, as_json
from train.engine.initial import (
    StatisticsSource,
    check_source,
    check_start,
    driver_guidance,
    initial_motion,
    initial_weights,
)
from train.engine.keys import Purpose, root_key
from train.engine.program import Frozen, HostBatch, Program
from train.engine.stage import (
    Batches,
    Description,
    HeldOut,
    Pictures,
    Plot,
    Scores,
)
from train.engine.state import Params, parameters_of
from train.flow.config import FlowConfig, TransformerSize
from train.flow.data import (
    Levels,
    batches,
    describe,
    validation_batches,
    window_inputs,
)
from train.flow.emotions import check_emotions, chosen_levels, emotions_of
from train.flow.losses import Term, choose_terms
from train.flow.sample import film_samples, make_sampler, plot_sample
from train.flow.score import score_lips
from train.flow.step import deaf_loss, train_step, unfeeling_loss, validation_loss

if TYPE_CHECKING:
    from train.engine.studio import Studio

PART = "flow_transformer"
ADAPTED = ("*.qkv.kernel", "*.out.kernel", "*.mlp.*.kernel")
"""Kernels of attention and MLPs, which adapters target by default."""
DEAF_LOSS = "validation_loss_without_sound"
UNFEELING_LOSS = "validation_loss_without_emotion"
FAR = 1.0
"""Deviations by which the mean motion of a checkpoint may differ from the data set's
without a note, by the statistics that the run normalises by."""


@dataclass(frozen=True)
class FlowStage:
    """A flow transformer, trained on windows of motion and audio features.

    Attributes:
      config: options of the run.
      transformer: config of the network.
      dataset: windows of motion and audio features, with the statistics by which the
        motion is normalised.
      run: identity of the run.
      initial: weights to start from, by dotted path; the others are drawn.
      guidance: scale of classifier-free guidance of what is sampled, as in inference.
      studio: makes films of sampled motion; None where none are wanted.
      terms: losses beside the error of all values.
      levels: emotion -> its highest level, of the emotions that are a condition.
    """

    config: FlowConfig
    transformer: FlowTransformerConfig
    dataset: Dataset
    run: Description
    initial: dict[str, np.ndarray]
    guidance: float = FlowDriverConfig.cfg_scale
    studio: "Studio | None" = None
    terms: tuple[Term, ...] = ()
    levels: Levels = field(default_factory=dict)

    @property
    def program(self) -> Program:
        return flow_program(self.config, self.transformer, self.terms)

    @property
    def space(self) -> str:
        """Name of the motion space: the data set's where the options name none."""
        return self.config.motion_space or self.dataset.motion_space

    @property
    def statistics(self) -> MotionStatistics:
        return self.dataset.statistics(self.space)

    def batches(self, rows: Rows) -> Batches:
        config = self.config
        workers = config.data_workers
        return batches(
            self.dataset, self.space, config.seed, rows, workers, self.levels
        )

    def held_out(self, rows: Rows) -> Sequence[HostBatch]:
        count = self.config.validation_batches
        return validation_batches(self.dataset, self.space, rows, count, self.levels)

    def scores(self, mesh: Mesh) -> Scores:
        sample = make_sampler(self.transformer, self.guidance, mesh)
        score = score_lips(self.transformer, self.space, self.dataset)

        def score_average(frozen: Frozen, average: Params) -> Mapping[str, float]:
            return score(partial(sample, average))

        return score_average

    def plot(self, mesh: Mesh) -> Plot:
        sample = make_sampler(self.transformer, self.guidance, mesh)

        def plot(frozen: Frozen, average: Params, held_out: HeldOut) -> Pictures:
            by_average = partial(sample, average)
            what = self.transformer, self.space, self.dataset, by_average
            pictures = plot_sample(*what)
            if self.studio is None:
                return pictures
            return {**pictures, **film_samples(*what, self.studio)}

        return plot

    def describe(self, batch: HostBatch) -> str:
        return describe(batch, self.dataset)


def flow_program(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    terms: tuple[Term, ...] = (),
) -> Program:
    """Return the pure functions of a flow transformer's training."""

    def fresh() -> tuple[Params, Params]:
        # The transformer has no batch statistics.
        key = root_key(config.seed, Purpose.WEIGHTS)
        return parameters_of(build(transformer, rngs=nnx.Rngs(key))), {}

    probes = {DEAF_LOSS: partial(deaf_loss, config, transformer)}
    if transformer.emotions:
        probes[UNFEELING_LOSS] = partial(unfeeling_loss, config, transformer)
    return Program(
        partial(train_step, config, transformer, terms=terms),
        partial(validation_loss, config, transformer),
        fresh,
        config.optimizer,
        window_inputs(transformer),
        probes=probes,
        lora=choose_targets(config.lora, ADAPTED),
        seed=config.seed,
    )


def open_flow(
    config: FlowConfig,
    open_data: Callable[[], Dataset],
    checkpoint: Path | None,
    init: Path | None,
    source: StatisticsSource | None,
    console: Console,
) -> FlowStage:
    """Open the stage of a data set and of the checkpoint that its features were made
    with.

    Args:
      config: options of the run.
      open_data: opens the data set, which may be a mixture.
      checkpoint: checkpoint that holds the audio encoder of the features.
      init: checkpoint to start from, whose sizes and motion space the run has unless the
        options name others.
      source: statistics by which the motion is normalised: those of `init` by default.
      console: receives a note if `init` was trained on other motion.

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
    frozen = open_checkpoint(checkpoint)
    find_encoder(dataset, frozen)
    # The run's identity has the space and the sizes that others chose.
    start = None if init is None else open_checkpoint(init)
    config = complete_config(config, dataset, start)
    space = config.motion_space or dataset.motion_space
    levels = chosen_levels(config.emotions, dataset, start)
    transformer = config.transformer.config(space, dataset.feature_width, len(levels))
    run = describe_run(config, transformer, dataset, frozen, levels)
    guidance = driver_guidance(frozen, DRIVER, FlowDriverConfig)
    lips = frozen.keypoints.lips
    terms = choose_terms(config.losses, MOTION_SPACES[space], lips)
    stage = FlowStage(
        config, transformer, dataset, run, {}, guidance, terms=terms, levels=levels
    )
    if init is None or start is None:
        return stage
    check_emotions(start, config)
    # Another motion space is named before the width that it entails.
    statistics = initial_statistics(start, space)
    weights = initial_weights(init, {PART: transformer})[PART]
    # A checkpoint of other motion is allowed, as in fine-tuning, with a note.
    stage = replace(stage, initial=weights)
    if source != "data":
        stage = replace(stage, dataset=dataset.normalized_by(space, statistics))
    distance = mean_distance(dataset, space, statistics, stage.statistics)
    if distance > FAR:
        remedy = ", which `--statistics init` avoids" if source == "data" else ""
        console.print(
            f"note: {init} was trained on motion whose mean lies {distance:.1f} deviations "
            f"from this data set's: the run has to learn that first{remedy}"
        )
    return stage


def complete_config(
    config: FlowConfig, dataset: Dataset, start: Checkpoint | None
) -> FlowConfig:
    """Return the options with the motion space, the sizes and the emotions that they
    leave open: those of the checkpoint to start from, or else the data set's space."""
    space: Any = config.motion_space
    size = config.transformer
    emotions = config.emotions or emotions_of(start)
    if start is not None:
        space = space or initial_motion(start, PART)[0]
        if size == TransformerSize():
            size = size_of(start.sizes(PART))
    space = space or common_space(dataset)
    return replace(config, motion_space=space, transformer=size, emotions=emotions)


def common_space(dataset: Dataset) -> str:
    """Return the motion space that a data set, or each one of a mixture, names.

    Raises:
      ConfigError: they name several.
    """
    spaces = sorted({part.motion_space for part, _ in dataset.parts})
    if len(spaces) > 1:
        raise ConfigError(
            f"the data sets name the motion spaces {' and '.join(spaces)}: choose one by motion_space"
        )
    return spaces[0]


def size_of(transformer: FlowTransformerConfig) -> TransformerSize:
    """Return the part of a transformer's config that the options hold."""
    names = [item.name for item in fields(TransformerSize)]
    return TransformerSize(**{name: getattr(transformer, name) for name in names})


def initial_statistics(start: Checkpoint, space: str) -> MotionStatistics:
    """Return the statistics of a transformer to start from, of this motion space."""
    other, statistics = initial_motion(start, PART)
    if other != space:
        raise ConfigError(
            f"{start.path} makes {other} motion, and this run trains {space}: choose the motion space {other}"
        )
    return statistics


def mean_distance(
    dataset: Dataset, space: str, initial: MotionStatistics, unit: MotionStatistics
) -> float:
    """Return the largest distance of a data set's mean motion from that of `initial`,
    in deviations of `unit`."""
    mean = dataset.mean[list(MOTION_SPACES[space].columns)]
    distance = np.abs(mean - np.asarray(initial.mean)) / np.asarray(unit.std)
    return float(np.max(distance))


def describe_run(
    config: FlowConfig,
    transformer: FlowTransformerConfig,
    dataset: Dataset,
    frozen: Checkpoint,
    levels: Levels,
) -> Description:
    """Return the identity of a run; `check_unchanged` compares its config and its data
    set."""
    return as_json(
        {
            "stage": "flow",
            "config": config,
            "trained": encode_parts({PART: transformer}),
            "emotion_levels": levels,
            "dataset": dataset.identity,
            "checkpoint": str(frozen.path),
        }
    )
