"""`python -m train.export --work-dir RUN --output CKPT`: a run's transformer as a checkpoint that `infer` reads."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from jaxportrait.checkpoint import CheckpointError, check_destination, open_checkpoint, save_checkpoint
from jaxportrait.models.config import FlowTransformerConfig
from train.checkpoints import FOLDER, Checkpoints

PART = "flow_transformer"


@dataclass(frozen=True)
class Options:
    """Write a run's flow transformer, its motion statistics, and the parts that were not trained, as one checkpoint.

    Attributes:
      work_dir: folder of the run.
      output: the checkpoint to write.
      weights: averaged (`ema`) or as last updated (`raw`); as the run's configuration says where it is not given.
      step: a saved step; the last where it is not given.
      checkpoint: of the parts that were not trained; the run's own where it is not given.
      overwrite: replace a checkpoint that stands at `output`.
    """

    work_dir: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    output: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    weights: Literal["ema", "raw"] | None = None
    step: int | None = None
    checkpoint: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    overwrite: bool = False


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    try:
        said = export(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    Console().print(said, highlight=False, soft_wrap=True)


def export(options: Options) -> str:
    """Write the checkpoint; a line that says what is in it."""
    check_destination(options.output.absolute(), overwrite=options.overwrite)
    if not (options.work_dir / FOLDER).is_dir():
        raise CheckpointError(f"no run at {options.work_dir}: give the --work-dir that `python -m train` had")
    saved = Checkpoints(options.work_dir)
    try:
        step = last_step(saved, options.work_dir) if options.step is None else options.step
        run = saved.run(step)
        weights = options.weights or run["config"]["export_weights"]
        params, statistics = saved.weights(step, weights)
    finally:
        saved.close()
    frozen = open_checkpoint(options.checkpoint or run["checkpoint"])
    parts = {part: frozen.leaves(part) for part in frozen.parts if part != PART}
    config = replace(frozen.config, flow_transformer=FlowTransformerConfig(**run["transformer"]))
    save_checkpoint(options.output, config, parts | {PART: params}, statistics, overwrite=options.overwrite)
    return f"{options.output}: {weights} weights of step {step}, with {', '.join(parts)} of {frozen.path}"


def last_step(saved: Checkpoints, work_dir: Path) -> int:
    if not saved.steps:
        raise CheckpointError(f"{work_dir} holds no checkpoint yet: let the run save one (--save-every)")
    return saved.steps[-1]


if __name__ == "__main__":
    main()
