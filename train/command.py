"""The command line of `python -m train`: options over a TOML file, over what a saved run
had, over the defaults of a stage."""

import argparse
from pathlib import Path
from typing import Any, TypeVar

import tyro

from jaxportrait.console.options import expand_path, parse_options
from jaxportrait.ranges import OptionError
from train.diffusion.config import DiffusionConfig
from train.engine.checkpoints import read_last_run
from train.engine.config import (
    ConfigError,
    StageConfig,
    keep_saved,
    leave_schedule,
    read_saved,
)
from train.engine.toml import find_config, load_config, preset_folder
from train.flow.config import FlowConfig
from train.options import (
    DiffusionOptions,
    FlowOptions,
    Inputs,
    RendererOptions,
    RunFolder,
    StitchingOptions,
)
from train.renderer.config import RendererConfig
from train.stitching.config import StitchingTrainConfig

T = TypeVar("T", bound=StageConfig)
# A stage's command line, and the options that its TOML file may hold.
STAGES: dict[str, tuple[type[Any], type[StageConfig]]] = {
    "flow": (FlowOptions, FlowConfig),
    "diffusion": (DiffusionOptions, DiffusionConfig),
    "renderer": (RendererOptions, RendererConfig),
    "stitching": (StitchingOptions, StitchingTrainConfig),
}
SUMMARY = """Train the networks of a stage.

The same command resumes a run that was interrupted."""
EXAMPLES = {
    "flow": "--dataset-path data/mead --work-dir runs/flow --checkpoint CKPT",
    "diffusion": "--stage diffusion --dataset-path data/mead --work-dir runs/diffusion --checkpoint CKPT",
    "renderer": "--stage renderer --dataset-path data/frames --work-dir runs/renderer",
    "stitching": "--stage stitching --dataset-path data/frames --work-dir runs/stitching --checkpoint CKPT",
}


def start_from(first: argparse.Namespace, training: T) -> T:
    """Return the options that the command line starts from.

    A run that is resumed keeps its own where a default or a preset has changed. A file
    of the user's has the last word, so that a contradiction is noticed.

    Args:
      first: stage, file, run folder, step and schedule of the command line.
      training: the defaults of the stage.
    """
    path = None if first.config is None else find_config(first.config)
    # Of the clone's, a path may be relative.
    is_preset = path is not None and path.resolve().parent == preset_folder().resolve()
    if path is not None and is_preset:
        training = load_options(path, training)
    step = int(first.resume) if first.resume.isdecimal() else None
    run = None if first.work_dir is None else read_last_run(first.work_dir, step)
    # A run of another stage is refused later.
    if run is not None and run["stage"] == first.stage:
        saved = read_saved(run["config"], type(training))
        training = keep_saved(saved, training)
        training = leave_schedule(training, first.schedule)
    if path is not None and not is_preset:
        training = load_options(path, training)
    return leave_schedule(training, first.schedule)


def load_options(path: Path, training: T) -> T:
    """Load a TOML file's differences from `training`.

    Raises:
      ConfigError: they cannot be used; if they are those of another stage, it is named.
    """
    try:
        return load_config(path, training)
    except ConfigError as error:
        for stage, (_, kind) in STAGES.items():
            if fits(path, kind()):
                raise ConfigError(
                    f"{path} has options of another stage: pass --stage {stage}, or another file"
                ) from error
        raise


def fits(path: Path, training: StageConfig) -> bool:
    """Return whether a TOML file can be loaded over the options of a stage."""
    try:
        load_config(path, training)
    except ConfigError:
        return False
    return True


def parse(arguments: list[str]) -> Any:
    """Parse a command line over the TOML file that it names, over the defaults of its
    stage."""
    # Stage and file come first: an option may be wrong over the defaults that is right
    # over the file.
    parser = argparse.ArgumentParser(
        prog="python -m train", add_help=False, allow_abbrev=False
    )
    parser.add_argument("--stage", default="flow")
    parser.add_argument("--config", type=expand_path)
    # tyro accepts both spellings.
    parser.add_argument("--work-dir", "--work_dir", type=expand_path)
    parser.add_argument("--resume", default="auto")
    parser.add_argument("--schedule")
    first, _ = parser.parse_known_args(arguments)
    if first.stage not in STAGES:
        raise OptionError(f"--stage {first.stage}: expected {', '.join(STAGES)}")
    options_type, config_type = STAGES[first.stage]
    training = start_from(first, config_type())
    # Required options are missing until the command line has them.
    default = options_type(
        input=Inputs(tyro.MISSING), run=RunFolder(tyro.MISSING), training=training
    )
    return parse_options(
        options_type,
        "train",
        summary=SUMMARY,
        example=EXAMPLES[first.stage],
        arguments=arguments,
        default=default,
    )
