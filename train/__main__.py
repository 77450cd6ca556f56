"""`python -m train --dataset-path OUT --checkpoint CKPT --work-dir RUN`: train a flow transformer on motion shards."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from train.config import TrainConfig, load_config
from train.loop import DivergenceError
from train.mesh import connect
from train.run import RunOptions, train_transformer

TERMINATED = 143
"""Exit status after SIGTERM, by which schedulers know that there is more to do."""


@dataclass(frozen=True)
class Options:
    """Train a flow transformer. The same command goes on with a run that was interrupted.

    Attributes:
      dataset_path: folder that `train.process` made.
      checkpoint: its audio encoder made the features; `train.export` copies the parts that are not trained from it.
      work_dir: folder of this run.
      config: TOML file of differences from the defaults; the command line goes before it.
      resume: `auto` goes on with the run folder's last checkpoint, `never` refuses a folder that is not empty, a
        number goes back to that step.
      init: checkpoint whose flow transformer the run starts from; fresh weights where there is none.
      coordinator: HOST:PORT of process 0 of a run of several processes, or `auto` under SLURM, Kubernetes or MPI.
      processes: of the run.
      process: which of them this is, from 0.
      deterministic: on a GPU, the same run gives the same bits, and is slower; a CPU always does.
      peak_tflops: of one device, for model FLOP utilisation; measured where it is not given.
      debug: show the traceback of an error.
      training: what is trained, and how.
    """

    dataset_path: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    work_dir: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    config: Annotated[Path | None, tyro.conf.arg(metavar="TOML")] = None
    resume: Annotated[str, tyro.conf.arg(metavar="auto|never|STEP")] = "auto"
    init: Annotated[Path | None, tyro.conf.arg(metavar="CKPT")] = None
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None
    deterministic: bool = False
    peak_tflops: float | None = None
    debug: bool = False
    training: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=TrainConfig)


def main() -> None:
    arguments = sys.argv[1:]
    try:
        status = 0 if run(parse(arguments)) else TERMINATED
    except (ValueError, OSError, DivergenceError) as error:
        if "--debug" in arguments:
            raise
        print(f"error: {error}", file=sys.stderr)
        status = 1 if isinstance(error, DivergenceError) else 2
    sys.exit(status)


def parse(arguments: list[str]) -> Options:
    """The command line, over the TOML file that it names, over the defaults."""
    options = tyro.cli(Options, description=__doc__, args=arguments)
    if options.config is None:
        return options
    file = load_config(options.config)
    default = Options(*[tyro.MISSING] * 3, training=file)
    return tyro.cli(Options, description=__doc__, args=arguments, default=default)


def run(options: Options) -> bool:
    if options.deterministic:
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"
    connect(options.coordinator, options.processes, options.process)
    paths = RunOptions(
        options.dataset_path, options.checkpoint, options.work_dir, options.resume, options.init, options.peak_tflops
    )
    return train_transformer(paths, options.training, Console(quiet=(options.process or 0) != 0))


if __name__ == "__main__":
    main()
