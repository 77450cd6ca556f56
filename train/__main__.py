"""`python -m train --dataset-path DATA --work-dir RUN [--stage
flow|renderer|stitching]`: train a stage's networks."""

import os
import sys
from typing import Any

import jax
from rich.console import Console

from jaxportrait.console.allocator import keep_freed_memory
from train.engine.loop import DivergenceError
from train.engine.mesh import connect
from train.engine.run import RunOptions, train
from train.options import parse

TERMINATED = 143
"""Exit status after SIGTERM, by which schedulers know that there is more to do."""
INTERRUPTED = 130
"""Exit status after Ctrl-C."""
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def main() -> None:
    """Parse the command line, train, and exit with a status."""
    arguments = sys.argv[1:]
    try:
        status = 0 if run(parse(arguments, __doc__)) else TERMINATED
    except (ValueError, OSError, DivergenceError) as error:
        if "--debug" in arguments:
            raise
        print(f"error: {error}", file=sys.stderr)
        # Divergence is a result, and other errors are wrong options or files.
        status = 1 if isinstance(error, DivergenceError) else 2
    except KeyboardInterrupt:
        print(
            "interrupted: the same command continues from the last checkpoint",
            file=sys.stderr,
        )
        status = INTERRUPTED
    sys.exit(status)


def run(options: Any) -> bool:
    """Train the stage that the options choose; return whether its last step is done."""
    if options.deterministic:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}"
    # Before any device is used.
    connect(options.coordinator, options.processes, options.process)
    console = Console(quiet=jax.process_index() != 0)
    stage = options.open_stage(console)
    run_options = RunOptions(options.work_dir, options.resume, options.peak_tflops)
    return train(stage, run_options, console)


def program() -> None:
    """Run `main` in a process of its own."""
    keep_freed_memory()
    main()


if __name__ == "__main__":
    program()
