"""`python -m train --dataset-path DATA --work-dir RUN [--stage
flow|renderer|stitching]`: train a stage's networks."""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import tyro
from rich.console import Console

from jaxportrait.console.allocator import keep_freed_memory
from train.engine.config import NO_PREFIX, StageConfig, load_config
from train.engine.loop import DivergenceError
from train.engine.mesh import connect
from train.engine.run import RunOptions
from train.flow.config import FlowConfig
from train.flow.stage import train_flow
from train.renderer.config import RendererConfig
from train.renderer.stage import train_renderer
from train.stitching.config import StitchingTrainConfig
from train.stitching.stage import train_stitching

TERMINATED, INTERRUPTED = 143, 130
"""Exit statuses after SIGTERM, by which schedulers know that there is more to do, and
after Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train the networks of a stage. The same command goes on with a run that was
    interrupted.

    Attributes:
      dataset_path: folder that `train.process` made, or `train.frames` for the other
        stages.
      checkpoint: of the parts that are not trained, which `train.export` copies; its
        audio encoder made the features.
      work_dir: folder of this run.
      config: TOML file of differences from the defaults; the command line goes before
        it.
      resume: `auto` goes on with the run folder's last checkpoint, `never` refuses a
        folder that is not empty, a number goes back to that step, whose later
        checkpoints are deleted when the run saves its next one.
      init: checkpoint whose networks the run starts from; those that it lacks start
        fresh.
      coordinator: HOST:PORT of process 0 of a run of several processes, or `auto` under
        SLURM, Kubernetes or MPI.
      processes: number of processes of the run.
      process: number of this process, from 0.
      deterministic: on a GPU, the same run gives the same bits, and is slower; a CPU
        always does.
      peak_tflops: peak TFLOP/s of one device, for model FLOP utilisation; measured
        where it is not given.
      debug: show the traceback of an error.
    """

    dataset_path: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    work_dir: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    config: Annotated[Path | None, tyro.conf.arg(metavar="TOML")] = None
    resume: Annotated[str, tyro.conf.arg(metavar="auto|never|STEP")] = "auto"
    init: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None
    deterministic: bool = False
    peak_tflops: float | None = None
    debug: bool = False


@dataclass(frozen=True, kw_only=True)
class FlowOptions(Options):
    """Train a flow transformer: audio features -> motion."""

    stage: Literal["flow"] = "flow"
    training: Annotated[FlowConfig, NO_PREFIX] = field(default_factory=FlowConfig)


@dataclass(frozen=True, kw_only=True)
class RendererOptions(Options):
    """Train a renderer: the appearance, motion and warping networks and the generator.

    Attributes:
      perceptual: checkpoint that holds the VGG of the perceptual loss; with a weight
        for it, `--losses.perceptual`.
    """

    stage: Literal["renderer"] = "renderer"
    perceptual: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    training: Annotated[RendererConfig, NO_PREFIX] = field(
        default_factory=RendererConfig
    )


@dataclass(frozen=True, kw_only=True)
class StitchingOptions(Options):
    """Train stitching and retargeting networks, with the renderer as the checkpoint has
    it."""

    stage: Literal["stitching"] = "stitching"
    training: Annotated[StitchingTrainConfig, NO_PREFIX] = field(
        default_factory=StitchingTrainConfig
    )


STAGES: dict[str, tuple[type[Any], type[StageConfig], Any]] = {
    "flow": (FlowOptions, FlowConfig, train_flow),
    "renderer": (RendererOptions, RendererConfig, train_renderer),
    "stitching": (StitchingOptions, StitchingTrainConfig, train_stitching),
}


def main() -> None:
    arguments = sys.argv[1:]
    try:
        status = 0 if run(parse(arguments)) else TERMINATED
    except (ValueError, OSError, DivergenceError) as error:
        if "--debug" in arguments:
            raise
        print(f"error: {error}", file=sys.stderr)
        status = 1 if isinstance(error, DivergenceError) else 2
    except KeyboardInterrupt:
        print(
            "interrupted: the same command goes on from the last checkpoint",
            file=sys.stderr,
        )
        status = INTERRUPTED
    sys.exit(status)


def parse(arguments: list[str]) -> Any:
    """The command line, over the TOML file that it names, over the defaults of its
    stage."""
    first = argparse.ArgumentParser(
        prog="python -m train", add_help=False, allow_abbrev=False
    )
    first.add_argument("--stage", default="flow")
    first.add_argument("--config", type=Path)
    known, _ = first.parse_known_args(
        arguments
    )  # an option alone may be wrong that is right over the file
    options_type, config_type, _ = STAGES.get(
        known.stage, STAGES["flow"]
    )  # tyro complains of one that does not exist
    training = (
        config_type()
        if known.config is None
        else load_config(known.config, config_type())
    )
    default = options_type(
        dataset_path=tyro.MISSING, work_dir=tyro.MISSING, training=training
    )
    return tyro.cli(options_type, description=__doc__, args=arguments, default=default)


def run(options: Any) -> bool:
    if options.deterministic:
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"
        )
    connect(options.coordinator, options.processes, options.process)
    paths = RunOptions(
        options.dataset_path,
        options.checkpoint,
        options.work_dir,
        options.resume,
        options.init,
        options.peak_tflops,
        options.perceptual if isinstance(options, RendererOptions) else None,
    )
    train = STAGES[options.stage][2]
    return train(paths, options.training, Console(quiet=jax.process_index() != 0))


def program() -> None:
    """`main` in a process of its own."""
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
