"""`python -m train --dataset-path DATA --work-dir RUN [--stage
flow|diffusion|renderer|stitching]`: train a stage's networks."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
from rich.console import Console

from jaxportrait.allocator import keep_freed_memory
from jaxportrait.console.cache import start_cache
from jaxportrait.console.errors import INVALID, exit_on_error
from jaxportrait.console.interrupts import end
from train.command import parse
from train.engine.config import SharedError
from train.engine.loop import RESUME, DivergenceError
from train.engine.mesh import connect
from train.engine.run import RunOptions, train

DIVERGED = 1
"""Exit status of a run whose loss is no number: a result, unlike wrong options."""
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def main() -> None:
    """Parse the command line, train, and exit with a status."""
    arguments = sys.argv[1:]
    with exit_on_error(
        resume=RESUME,
        debug="--debug" in arguments,
        statuses={DivergenceError: DIVERGED},
    ):
        with reported_once():
            number = run(parse(arguments))
        # Schedulers know by the status that there is more to do.
        if number:
            end(number, RESUME)


@contextmanager
def reported_once() -> Iterator[None]:
    """Leave the report of an error that all processes share to the first one."""
    try:
        yield
    except SharedError:
        if jax.process_index():
            sys.exit(INVALID)
        raise


def run(options: Any) -> int:
    """Train the stage that the options choose; return what `train` does."""
    device = options.device
    if device.deterministic:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}"
    # Before any device is used.
    connect(device.coordinator, device.processes, device.process)
    # Lines hold paths and names, and programs read them.
    console = Console(
        quiet=jax.process_index() != 0, soft_wrap=True, markup=False, highlight=False
    )
    stage = options.open_stage(console)
    run_options = RunOptions(
        options.run.work_dir,
        options.run.resume,
        device.peak_tflops,
        options.run.wandb,
    )
    number = train(stage, run_options, console)
    if number and jax.process_count() > 1:
        # Processes that end apart would report each other as lost.
        jax.distributed.shutdown()
    return number


def program() -> None:
    """Run `main` in a process of its own."""
    keep_freed_memory()
    start_cache()
    # Orbax raises the errors that it logs.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    try:
        main()
    except SystemExit as error:
        leave(error.code)
        raise


def leave(status: object) -> None:
    """End this process at once after an error.

    Orbax's threads would wait ten minutes for a save that has failed. Several processes
    wait for each other.
    """
    if status and isinstance(status, int) and not jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    program()
