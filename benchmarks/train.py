"""`python -m benchmarks.train [--against PATH]`: time an update of the flow transformer,
and the input pipeline.

`--against` names a checkout of the PyTorch original (LivePortrait_AudioDriven); its
network is trained in turn with ours, in a process of its own, on batches of the same
shape, with the same optimizer and precision. It needs torch, einops and torchdiffeq.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro

from benchmarks.neighbour import Neighbour, timed
from benchmarks.originals import OriginalTransformer
from benchmarks.report import alternate, paired_ratio, publish
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.motion.space import MOTION_SPACES
from train.data.batches import Rows
from train.data.dataset import open_dataset
from train.data.records import WINDOW_FRAMES
from train.engine.mesh import make_mesh
from train.flow.config import FlowConfig, TransformerSize
from train.flow.data import WINDOW_FEATURES, batches
from train.flow.stage import flow_program

# Width of the features of Whisper "tiny".
AUDIO_WIDTH = 384
WARM_BATCHES = 20
MEASURED_BATCHES = 100
COLUMNS = ("", "first call, s", "update, s", "processor, s", "windows/s")


@dataclass(frozen=True)
class Options:
    """Time an update of the flow transformer.

    Attributes:
      size: size of the transformer; the published one by default.
      batch_size: windows an update.
      dtype: compute dtype of the networks; weights are float32.
      repeats: updates that are timed, after the first.
      against: checkout of the PyTorch original.
      dataset_path: a data set of `train.process`, whose pipeline is timed too.
      json: file for the figures.
    """

    size: tyro.conf.OmitArgPrefixes[TransformerSize] = field(
        default_factory=TransformerSize
    )
    batch_size: int = 16
    dtype: Literal["float32", "bfloat16"] = "float32"
    repeats: int = 5
    against: Path | None = None
    dataset_path: Path | None = None
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    runs: dict[str, Any] = {"jaxportrait": our_update(options)}
    try:
        with Neighbour.beside(
            options.against, OriginalTransformer, options.size, AUDIO_WIDTH
        ) as original:
            if original is not None:
                batch = sample_batch(options.batch_size)
                half = options.dtype == "bfloat16"
                runs["original"] = original.prepare("update", batch, half)
            figures: dict[str, dict[str, Any]] = alternate(runs, options.repeats)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # A row an implementation, and then their ratio and the pipeline.
    rows = [row(name, figure, options) for name, figure in figures.items()]
    if options.against is not None:
        speed = paired_ratio(figures["original"], figures["jaxportrait"])
        # On a busy machine processor time says more, though idle threads may wait in it.
        work = figures["original"]["cpu"] / figures["jaxportrait"]["cpu"]
        rows.append(["ours is faster by", "", f"{speed:.2f}x", f"{work:.2f}x", ""])
    if options.dataset_path is not None:
        rate = pipeline_rate(options.dataset_path, options.batch_size)
        figures["pipeline"] = {"samples_per_second": rate}
        rows.append(["input pipeline", "", "", "", f"{rate:.1f}"])
    title = f"training: batch {options.batch_size}, {options.dtype}, width {options.size.width}"
    publish(title, COLUMNS, rows, figures, options.json)


def row(name: str, figure: dict[str, Any], options: Options) -> list[str]:
    """Return the table's row of an implementation."""
    median = figure["median"]
    rate = options.batch_size / median
    work = f"{figure['cpu']:.3f}"
    return [name, f"{figure['first']:.2f}", f"{median:.3f}", work, f"{rate:.2f}"]


def sample_batch(batch_size: int) -> dict[str, np.ndarray]:
    """Return a random batch of windows in the lip space."""
    # Values do not matter for the time.
    rng = np.random.default_rng(0)
    width = MOTION_SPACES["lip"].width
    motion = rng.normal(size=(batch_size, WINDOW_FRAMES, width))
    features = rng.normal(size=(batch_size, WINDOW_FEATURES, AUDIO_WIDTH))
    return {
        "motion": motion.astype(np.float32),
        "features": features.astype(np.float16),
        "row": np.arange(batch_size, dtype=np.int32),
    }


def our_update(options: Options) -> Callable[[], Any]:
    """Return our jitted update on every device, which passes its state from call to
    call."""
    config = FlowConfig(
        batch_size=options.batch_size, dtype=options.dtype, accumulation=1
    )
    transformer = options.size.config("lip", AUDIO_WIDTH)
    program = flow_program(config, transformer).on(make_mesh(1))
    update = program.lower_update(options.batch_size).compile()
    state = program.initial_state()
    batch = program.place(sample_batch(options.batch_size))
    # Every call continues from the state of the one before, whose memory it uses.
    key = jax.random.key(0)

    def run() -> Any:
        nonlocal state
        state, metrics = update(key, state, batch)
        return metrics

    return run


def pipeline_rate(path: Path, batch_size: int) -> float:
    """Return the windows a second of the input pipeline, with nothing else to be
    done."""
    iterator = batches(open_dataset(path), "lip", 0, Rows(batch_size))

    def read(count: int) -> None:
        for _ in range(count):
            next(iterator)

    # Past the batches that threads have read ahead.
    read(WARM_BATCHES)
    # Long enough to empty and refill the buffers of the threads.
    timing = timed(lambda: read(MEASURED_BATCHES))
    return batch_size * MEASURED_BATCHES / timing.seconds


if __name__ == "__main__":
    keep_freed_memory()
    main()
