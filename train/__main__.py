"""`python -m train --dataset-path DATA --work-dir RUN [--stage
flow|renderer|stitching]`: train a stage's networks."""

import os
import sys
from typing import Any

import jax
from rich.console import Console

from jaxportrait.allocator import keep_freed_memory
from jaxportrait.console.cache import start_cache
from jaxportrait.console.errors import TERMINATED, exit_on_error
from train.engine.loop import DivergenceError
from train.engine.mesh import connect
from train.engine.run import RunOptions, train
from train.options import parse

DIVERGED = 1
"""Exit status of a run whose loss is no number: a result, unlike wrong options."""
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def main() -> None:
    """Parse the command line, train, and exit with a status."""
    arguments = sys.argv[1:]
    with exit_on_error(
        interrupted="interrupted: the same command continues from the last checkpoint",
        debug="--debug" in arguments,
        statuses={DivergenceError: DIVERGED},
    ):
        is_done = run(parse(arguments))
    # Schedulers know by the status of SIGTERM that there is more to do.
    sys.exit(0 if is_done else TERMINATED)


def run(options: Any) -> bool:
    """Train the stage that the options choose; return whether its last step is done."""
    device = options.device
    if device.deterministic:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}"
    # Before any device is used.
    connect(device.coordinator, device.processes, device.process)
    console = Console(quiet=jax.process_index() != 0)
    stage = options.open_stage(console)
    run_options = RunOptions(
        options.run.work_dir, options.run.resume, device.peak_tflops
    )
    return train(stage, run_options, console)


def program() -> None:
    """Run `main` in a process of its own."""
    keep_freed_memory()
    start_cache()
    main()


if __name__ == "__main__":
    program()
