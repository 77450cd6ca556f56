"""An evaluation: check that data and checkpoint fit, sample, measure, report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import tyro
from rich.console import Console

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.console.progress import track
from jaxportrait.drivers.sampling import SampledWindows
from jaxportrait.motion.space import (
    MOTION_SPACES,
    MotionSpace,
    MotionStatistics,
    expression_columns,
)
from jaxportrait.ranges import (
    Count,
    Natural,
    OptionError,
    Range,
    SamplingSteps,
    check_ranges,
)
from jaxportrait.whole import hold_folder
from train.data.dataset import Dataset, find_encoder, open_dataset
from train.data.lips import learn_lip_axis
from train.data.shards import DatasetError, write_json
from train.evaluate.motion.baselines import baselines
from train.evaluate.motion.lids import LidAxis, learn_lid_axis
from train.evaluate.motion.measures import compare, measure, measure_truth
from train.evaluate.motion.report import (
    References,
    Rows,
    content,
    notes,
    plot_lips,
    plot_measures,
    tables,
)
from train.evaluate.motion.seams import (
    join_sounds,
    measure_seams,
)
from train.evaluate.motion.sweep import (
    HeldOut,
    Sampled,
    Scale,
    Setting,
    hold_out,
    make_sampler,
    sweep,
)
from train.evaluate.motion.sync import learn_sync

Run = tuple[Setting, list[Sampled]]
Example = tuple[HeldOut, Sampled, Setting]

SYNC_CLIPS = 300
"""Most clips of the train split that the embedding is learnt from."""
AXIS_CLIPS = 1000
"""Most clips of the train split that the lip axis is learnt from: records hold audio
features too, and all of them may be many GB."""


@dataclass(frozen=True)
class FurtherMeasures:
    """Measures that take minutes.

    Attributes:
      sync_steps: updates of the embedding of lips and sound that judges motion; 0
        leaves it out.
      seam_sounds: long sounds, each of all held-out clips joined, on which seams are
        measured once more, with an interval; 0 leaves them out.
    """

    sync_steps: Natural = 1000
    seam_sounds: Natural = 0


@dataclass(frozen=True)
class Options:
    """Measure a trained checkpoint on held-out clips, over steps and guidance.

    Attributes:
      dataset_path: motion data set, made by `python -m train.process`.
      checkpoint: checkpoint with a driver and the audio encoder that it reads,
        as `python -m train.export` writes it.
      output: folder for `evaluation.json` and the plots.
      driver: name of the driver, where there are several.
      steps: steps of sampling to try.
      guidance: scales of classifier-free guidance to try, from 0; 1 and below use the
        conditional velocity only, and so give the same motion.
      clips: number of held-out clips, evenly spaced over all.
      seeds: samples a clip, at least 2, over which diversity is measured.
      windows: `fused` as in inference, or those of the original: `independent` for a
        flow transformer, `original` for a diffusion transformer.
      further: measures that take minutes.
    """

    dataset_path: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("evaluation")
    driver: str | None = None
    steps: tuple[SamplingSteps, ...] = (1, 2, 5, 10, 25)
    guidance: tuple[Annotated[float, Range(0, 100)], ...] = (1, 2, 3, 4, 5, 6)
    clips: Count = 16
    seeds: Annotated[int, Range(2, 1000)] = 3
    windows: SampledWindows = "fused"
    further: tyro.conf.OmitArgPrefixes[FurtherMeasures] = field(
        default_factory=FurtherMeasures
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        check_ranges(self.further)
        for name in ("steps", "guidance"):
            if not getattr(self, name):
                raise OptionError(f"{name} is empty: name one value or more")


def evaluate(options: Options, console: Console) -> None:
    """Sample, measure, and write the table, the JSON and the plots.

    Raises:
      ValueError, OSError: options, a data set or a checkpoint that do not fit together.
    """
    # Data and networks; everything is checked before hours of sampling.
    dataset = open_dataset(options.dataset_path)
    checkpoint = open_checkpoint(options.checkpoint)
    check_fit(dataset, checkpoint, options.driver)
    driver = checkpoint.driver(options.driver)
    network = checkpoint.network(driver.config.motion_part)
    statistics = cast(MotionStatistics, driver.statistics)
    space = MOTION_SPACES[driver.config.space]
    # the axis is learnt from training clips, and applied to held-out ones
    lips = learn_lip_axis(dataset.evenly_spaced("train", AXIS_CLIPS))
    lids = learn_lids(dataset, checkpoint, space)
    sync = None
    if options.further.sync_steps:
        training = dataset.evenly_spaced("train", SYNC_CLIPS)
        sync = learn_sync(training, options.further.sync_steps)
    scale = Scale(space, statistics, lips, lids, sync)
    records = list(dataset.evenly_spaced("validation", options.clips))
    sample = make_sampler(network, statistics, options.windows)
    clips = hold_out(records, network.config, space, options.windows)
    sounds = join_sounds(
        records, options.further.seam_sounds, network.config, space, options.windows
    )
    # Every setting is sampled, measured, and then forgotten but for one clip.
    with hold_folder(options.output):
        runs = sweep(sample, clips, options.steps, options.guidance, options.seeds)
        total = len(options.steps) * len(options.guidance)
        rows, examples = [], []
        for setting, sampled in _show_progress(runs, total, console):
            measures = measure(clips, sampled, scale)
            if sounds:
                seams = measure_seams(sample, sounds, statistics, setting)
                measures |= {} if seams is None else seams.facts()
                console.print(f"seams of long sounds: {seams}", highlight=False)
            rows.append((setting, measures))
            examples.append((clips[0], sampled[0], setting))
        # the setting whose lips follow the truth best is drawn
        best = int(np.argmax([row["true_lip_correlation"] for _, row in rows]))
        _report(options, console, rows, examples[best], clips, scale)


def _show_progress(runs: Iterator[Run], total: int, console: Console) -> Iterator[Run]:
    """Show a bar on a terminal, a line a setting elsewhere."""
    if console.is_terminal:
        yield from track(runs, total, console, unit="settings")
        return
    for number, run in enumerate(runs, start=1):
        setting, _ = run
        line = f"{number} of {total} settings sampled: {setting}"
        console.print(line, highlight=False)
        yield run


def _report(
    options: Options,
    console: Console,
    rows: Rows,
    example: Example,
    clips: Sequence[HeldOut],
    scale: Scale,
) -> None:
    references = measure_references(clips, scale)
    frames = sum(len(clip.truth) for clip in clips)
    # A border has a frame before it and one after it.
    borders = sum(int(clip.seams.sum()) for clip in clips) // 2
    facts = {
        "dataset": str(options.dataset_path),
        "checkpoint": str(options.checkpoint),
        "driver": options.driver,
        "clips": [clip.clip for clip in clips],
        "frames": frames,
        "borders": borders,
        "seeds": options.seeds,
        "windows": options.windows,
    }
    write_json(options.output / "evaluation.json", content(rows, references, facts))
    plot_measures(options.output / "measures.png", rows, references)
    plot_lips(options.output / "lips.png", *example, scale)
    for table in tables(rows, references):
        console.print(table)
    for line in notes(references):
        console.print(line, highlight=False, soft_wrap=True)
    console.print(
        f"{len(clips)} held-out clips, {frames} frames, {borders} window borders; "
        f"figures and plots in {options.output}",
        soft_wrap=True,
    )


def learn_lids(
    dataset: Dataset, checkpoint: Checkpoint, space: MotionSpace
) -> LidAxis | None:
    """Learn where lids are shut from the training clips; None in a space without
    eyes."""
    eyes = checkpoint.keypoints.eyes
    if not set(expression_columns(eyes)) <= set(space.columns):
        return None
    return learn_lid_axis(dataset.evenly_spaced("train", AXIS_CLIPS), eyes)


def measure_references(clips: Sequence[HeldOut], scale: Scale) -> References:
    """Return the measures of motion that no network made, and of the truth."""
    references = {}
    for name, motions in baselines(clips, scale).items():
        samples = [motion[None] for motion in motions]
        references[name] = compare(samples, clips, scale)
    references["truth"] = measure_truth(clips, scale)
    return references


def check_fit(dataset: Dataset, checkpoint: Checkpoint, driver: str | None) -> None:
    """Raise unless the driver's audio encoder made the data set, and some of it is held
    out."""
    config = checkpoint.driver(driver).config
    checkpoint.require([config.motion_part])
    encoder = find_encoder(dataset, checkpoint)
    # Of several encoders, another one may be the driver's.
    if encoder != config.features and config.features in checkpoint.parts:
        raise DatasetError(
            f"the features of {dataset.path} were made by {encoder}, and the driver reads {config.features}: choose "
            "another driver, or process the videos with its audio encoder"
        )
    if dataset.sizes["validation"].clips == 0:
        raise DatasetError(
            f"data set {dataset.path} holds no clip out: process more subjects, or longer clips"
        )
