"""The first frame of a new process, for `benchmarks.end_to_end`, which starts it with an
empty and with a warm cache.

Prints two numbers as JSON: the time of day of the first frame, and the seconds that the
first frame of a second clip takes in the same process.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import tyro

from jaxportrait.allocator import keep_freed_memory
from jaxportrait.animator import Animator, DType


@dataclass(frozen=True)
class Options:
    """Make a first frame twice.

    Attributes:
      checkpoint: checkpoint for `infer`.
      source: picture with a face.
      driving: speech recording.
      cache: folder of compiled programs.
      dtype, batch_size: options of `infer`.
    """

    checkpoint: Path
    source: Path
    driving: Path
    cache: Path
    dtype: DType = "auto"
    batch_size: int | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    jax.config.update("jax_compilation_cache_dir", str(options.cache))
    # As `infer` does.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    animator = Animator.from_checkpoint(
        options.checkpoint, dtype=options.dtype, batch_size=options.batch_size
    )
    next(iter(animator.animate(options.source, options.driving)))
    # The time of day: whoever started this process knows when that was.
    first = time.time()
    start = time.perf_counter()
    next(iter(animator.animate(options.source, options.driving)))
    print(json.dumps([first, time.perf_counter() - start]))


if __name__ == "__main__":
    keep_freed_memory()
    main()
