"""`python -m benchmarks.memory`: the most memory that a clip takes, by its length, each
in a process of its own.

The sound is a tone, the video is written to a temporary folder. Host memory is the peak
of the resident set; device memory is what the device counts, where it does. The demo's
checkpoint and portrait are the default.
"""

import multiprocessing
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from benchmarks.report import publish
from jaxportrait import demo
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.animator import Animator, DType
from jaxportrait.media.audio import SAMPLE_RATE, Audio

COLUMNS = ("sound", "frames", "host, MB", "device, MB")
TONE = 220.0
"""Hertz."""
UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes that `ru_maxrss` counts as one."""


@dataclass(frozen=True)
class Options:
    """Measure memory.

    Attributes:
      seconds: lengths of the sound.
      output_fps: frames a second; few make a long clip bearable on a CPU, and frames
        that were held would still show.
      checkpoint: checkpoint for `infer`.
      source: picture with a face.
      dtype: option of `infer`.
      json: where to write the figures.
    """

    seconds: tuple[float, ...] = (10.0, 60.0)
    output_fps: float = 30.0
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")] = demo.CHECKPOINT
    source: Path = demo.PORTRAIT
    dtype: DType = "auto"
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    # A process for every length: peaks only grow.
    with multiprocessing.get_context("spawn").Pool(
        1, keep_freed_memory, maxtasksperchild=1
    ) as pool:
        figures = [
            pool.apply(measure, (options, seconds)) for seconds in options.seconds
        ]
    rows = [
        [
            f"{figure['seconds']:g} s",
            str(figure["frames"]),
            f"{figure['host'] / 1e6:.0f}",
            f"{figure['device'] / 1e6:.0f}" if figure["device"] else "not counted",
        ]
        for figure in figures
    ]
    publish("peak memory", COLUMNS, rows, figures, options.json)


def measure(options: Options, seconds: float) -> dict[str, Any]:
    """Make one clip and return the peak of this process."""
    animator = Animator.from_checkpoint(options.checkpoint, dtype=options.dtype)
    # A tone needs no file, and the length of the sound is all that matters.
    samples = np.sin(
        2 * np.pi * TONE / SAMPLE_RATE * np.arange(round(seconds * SAMPLE_RATE))
    ).astype(np.float32)
    animation = animator.animate(
        options.source,
        Audio.from_samples(samples, SAMPLE_RATE),
        output_fps=options.output_fps,
    )
    with tempfile.TemporaryDirectory() as folder:
        animation.save(Path(folder) / "clip.mp4")
    # A CPU counts nothing.
    counted = jax.local_devices()[0].memory_stats() or {}
    host = UNIT * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": seconds,
        "frames": len(animation),
        "host": host,
        "device": counted.get("peak_bytes_in_use", 0),
    }


if __name__ == "__main__":
    main()
