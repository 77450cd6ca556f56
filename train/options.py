"""Options of `python -m train`: a command line for each stage."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console
from tyro.conf import OmitArgPrefixes

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.ranges import Count, Natural, OptionError, Positive, check_ranges
from train.data.dataset import Dataset
from train.data.mixture import open_datasets
from train.diffusion.config import DiffusionConfig
from train.diffusion.stage import open_diffusion
from train.engine.initial import StatisticsSource
from train.engine.stage import Stage
from train.flow.config import FlowConfig
from train.flow.stage import open_flow
from train.renderer.config import RendererConfig
from train.renderer.stage import open_renderer
from train.stitching.config import StitchingTrainConfig
from train.stitching.stage import open_stitching

if TYPE_CHECKING:
    from train.engine.studio import Studio

FILMED_CLIPS = 2
STAGE = tyro.conf.arg(
    metavar="flow|diffusion|renderer|stitching",
    help="networks to train; `--stage NAME --help` shows the options of each.",
)
NO_PREFIX = tyro.conf.arg(name="")
"""`--seed` at the command line, not `--training.seed`; the names of nested tables stay
before their options, as in `--losses.focus`."""


@dataclass(frozen=True)
class Inputs:
    """Data set, checkpoints and configuration.

    Attributes:
      dataset_path: folder that `train.process` made, or `train.frames` for the other
        stages. The stages of `train.process` mix several.
      weights: share of the windows of each data set, in any unit; by default they count
        by their length.
      checkpoint: checkpoint of the parts that are not trained, which `train.export`
        copies; its audio encoder made the features.
      init: checkpoint whose networks the run starts from; those that it lacks start
        fresh.
      config: TOML file of differences from the defaults, or the name of a preset such
        as `mead_lip`; the command line overrides it.
    """

    dataset_path: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR ...")]
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    init: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    config: Annotated[Path | None, tyro.conf.arg(metavar="TOML")] = None
    weights: Annotated[tuple[Positive, ...], tyro.conf.arg(metavar="SHARE ...")] = ()

    def __post_init__(self) -> None:
        check_ranges(self)

    def open_mixture(self) -> Dataset:
        """Open the data set, or a mixture of several."""
        return open_datasets(self.dataset_path, self.weights)

    @property
    def only_dataset(self) -> Path:
        """The data set of a stage that reads one.

        Raises:
          OptionError: there are several, or weights.
        """
        if len(self.dataset_path) != 1 or self.weights:
            raise OptionError(
                "--dataset-path and --weights mix data sets in the stages flow and diffusion only: name one data "
                "set, and no weights"
            )
        return self.dataset_path[0]


@dataclass(frozen=True)
class RunFolder:
    """The folder that the run is written to.

    Attributes:
      work_dir: folder of this run.
      resume: `auto` continues from the run folder's last checkpoint, `never` refuses a
        folder that is not empty, a number returns to that step, whose later checkpoints
        are deleted when the run saves its next one.
      wandb: project of Weights & Biases that the run is written to, beside TensorBoard
        and `metrics.jsonl`; needs the package wandb.
    """

    work_dir: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    resume: Annotated[str, tyro.conf.arg(metavar="auto|never|STEP")] = "auto"
    wandb: Annotated[str | None, tyro.conf.arg(metavar="PROJECT")] = None


@dataclass(frozen=True)
class FilmOptions:
    """Films of held-out clips in TensorBoard, beside the pictures of --plot-every.

    Attributes:
      portrait: picture of a face that moves as the clips' true motion and as the motion
        sampled of their sound, by the renderer of --checkpoint; none by default.
      clips: number of clips.
    """

    portrait: Annotated[Path | None, tyro.conf.arg(metavar="PICTURE")] = None
    clips: Count = FILMED_CLIPS

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.portrait is None and self.clips != FILMED_CLIPS:
            raise OptionError(
                "--films.clips counts films, and --films.portrait, which makes them, is missing: pass a "
                "picture, or leave the number out"
            )

    def open(self, checkpoint: Path | None) -> "Studio | None":
        """Open the portrait and its renderer; None where no films are wanted."""
        if self.portrait is None or checkpoint is None:
            return None
        # Only runs with films load it.
        from train.engine.studio import Studio

        return Studio(open_checkpoint(checkpoint), self.portrait, self.clips)


@dataclass(frozen=True)
class DeviceOptions:
    """Devices and processes.

    Attributes:
      coordinator: HOST:PORT of process 0 of a run of several processes, or `auto` under
        SLURM, Kubernetes or MPI.
      processes: number of processes of the run.
      process: number of this process, from 0.
      deterministic: on a GPU, the same run gives the same bits, and is slower; a CPU
        always does.
      peak_tflops: peak TFLOP/s of one device, for model FLOP utilisation; that of the
        data sheet by default, and none for a device that is not known.
    """

    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT|auto")] = None
    processes: Annotated[Count | None, tyro.conf.arg(metavar="INT")] = None
    process: Annotated[Natural | None, tyro.conf.arg(metavar="INT")] = None
    deterministic: bool = False
    peak_tflops: Annotated[Positive | None, tyro.conf.arg(metavar="FLOAT")] = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train the networks of a stage. The same command continues a run that was
    interrupted.

    Attributes:
      input: data set, checkpoints and configuration.
      run: the folder that the run is written to.
      device: devices and processes.
      debug: show the traceback of an error.
    """

    input: OmitArgPrefixes[Inputs]
    run: OmitArgPrefixes[RunFolder]
    device: OmitArgPrefixes[DeviceOptions] = field(default_factory=DeviceOptions)
    debug: bool = False


@dataclass(frozen=True, kw_only=True)
class FlowOptions(Options):
    """Train a flow transformer: audio features -> motion.

    Attributes:
      statistics: with --init, mean and deviation by which the motion is normalised:
        those of the checkpoint (`init`, the default) or of the data set (`data`).
    """

    stage: Annotated[Literal["flow"], STAGE] = "flow"
    statistics: StatisticsSource | None = None
    training: Annotated[FlowConfig, NO_PREFIX] = field(default_factory=FlowConfig)
    films: FilmOptions = field(default_factory=FilmOptions)

    def open_stage(self, console: Console) -> Stage:
        """Open the stage, with notes to `console`."""
        paths = self.input
        stage = open_flow(
            self.training,
            paths.open_mixture,
            paths.checkpoint,
            paths.init,
            self.statistics,
            console,
        )
        return replace(stage, studio=self.films.open(paths.checkpoint))


@dataclass(frozen=True, kw_only=True)
class RendererOptions(Options):
    """Train a renderer: the appearance, motion and warping networks and the generator.

    Attributes:
      perceptual: checkpoint that holds the VGG of the perceptual loss; with a weight
        for it, `--losses.perceptual`.
    """

    stage: Annotated[Literal["renderer"], STAGE] = "renderer"
    perceptual: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    training: Annotated[RendererConfig, NO_PREFIX] = field(
        default_factory=RendererConfig
    )

    def open_stage(self, console: Console) -> Stage:
        """Open the stage; it has no notes."""
        paths = self.input
        return open_renderer(
            self.training,
            paths.only_dataset,
            paths.checkpoint,
            paths.init,
            self.perceptual,
        )


@dataclass(frozen=True, kw_only=True)
class StitchingOptions(Options):
    """Train stitching and retargeting networks, with the renderer as the checkpoint has
    it."""

    stage: Annotated[Literal["stitching"], STAGE] = "stitching"
    training: Annotated[StitchingTrainConfig, NO_PREFIX] = field(
        default_factory=StitchingTrainConfig
    )

    def open_stage(self, console: Console) -> Stage:
        """Open the stage; it has no notes."""
        paths = self.input
        return open_stitching(
            self.training, paths.only_dataset, paths.checkpoint, paths.init
        )


@dataclass(frozen=True, kw_only=True)
class DiffusionOptions(Options):
    """Train a denoiser of motion: sound or audio features -> motion.

    Attributes:
      statistics: with --init, mean and deviation by which the motion is normalised:
        those of the checkpoint (`init`, the default) or of the data set (`data`).
    """

    stage: Annotated[Literal["diffusion"], STAGE] = "diffusion"
    statistics: StatisticsSource | None = None
    training: Annotated[DiffusionConfig, NO_PREFIX] = field(
        default_factory=DiffusionConfig
    )
    films: FilmOptions = field(default_factory=FilmOptions)

    def open_stage(self, console: Console) -> Stage:
        """Open the stage; it has no notes."""
        paths = self.input
        stage = open_diffusion(
            self.training,
            paths.open_mixture,
            paths.checkpoint,
            paths.init,
            self.statistics,
        )
        return replace(stage, studio=self.films.open(paths.checkpoint))
