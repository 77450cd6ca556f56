"""`python -m benchmarks.train [--against PATH]`: an update of the flow transformer, and
the input pipeline.

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
from jaxportrait.console.allocator import keep_freed_memory
from jaxportrait.motion.space import MOTION_SPACES
from train.data.batches import Rows
from train.data.records import WINDOW_FRAMES, open_dataset
from train.engine.config import OptimizerConfig
from train.engine.mesh import make_mesh
from train.flow.config import TransformerSize
from train.flow.data import WINDOW_FEATURES, batches
from train.flow.stage import flow_program
from train.flow.step import StepConfig

AUDIO_WIDTH = 384
WARM_BATCHES, MEASURED_BATCHES = 20, 100


@dataclass(frozen=True)
class Options:
    """Time an update of the flow transformer.

    Attributes:
      size: of the transformer; the published one by default.
      batch_size: windows an update.
      dtype: in which the networks compute; weights are float32.
      repeats: updates that are timed, after the first.
      against: checkout of the PyTorch original.
      dataset_path: a data set of `train.process`, whose pipeline is timed too.
      json: where to write the figures.
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
                batch, half = (
                    sample_batch(options.batch_size),
                    options.dtype == "bfloat16",
                )
                runs["original"] = original.prepare("update", batch, half)
            figures: dict[str, dict[str, Any]] = alternate(runs, options.repeats)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    rows = [
        [
            name,
            f"{f['first']:.2f}",
            f"{f['median']:.3f}",
            f"{options.batch_size / f['median']:.2f}",
        ]
        for name, f in figures.items()
    ]
    if options.against is not None:
        speed = paired_ratio(figures["original"], figures["jaxportrait"])
        rows.append(["ours is faster by", "", f"{speed:.2f}x", ""])
    if options.dataset_path is not None:
        rate = pipeline_rate(options.dataset_path, options.batch_size)
        figures["pipeline"] = {"samples_per_second": rate}
        rows.append(["input pipeline", "", "", f"{rate:.1f}"])
    title = f"training: batch {options.batch_size}, {options.dtype}, width {options.size.width}"
    publish(
        title,
        ("", "first call, s", "update, s", "windows/s"),
        rows,
        figures,
        options.json,
    )


def sample_batch(batch_size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "motion": rng.normal(
            size=(batch_size, WINDOW_FRAMES, MOTION_SPACES["lip"].width)
        ).astype(np.float32),
        "features": rng.normal(size=(batch_size, WINDOW_FEATURES, AUDIO_WIDTH)).astype(
            np.float16
        ),
        "row": np.arange(batch_size, dtype=np.int32),
    }


def our_update(options: Options) -> Callable[[], Any]:
    """Our jitted update on every device, its state going from call to call."""
    transformer = options.size.config("lip", AUDIO_WIDTH)
    config, mesh = (
        StepConfig(transformer, OptimizerConfig(), dtype=options.dtype),
        make_mesh(1),
    )
    program = flow_program(config, 0)
    update, state = (
        program.lower_update(options.batch_size, mesh).compile(),
        program.initial_state(mesh),
    )
    key, batch = (
        jax.random.key(0),
        program.place(sample_batch(options.batch_size), mesh),
    )

    def run() -> Any:
        nonlocal state
        state, metrics = update(key, state, batch)
        return metrics

    return run


def pipeline_rate(path: Path, batch_size: int) -> float:
    """Windows a second that the input pipeline gives when nothing else is to be
    done."""
    iterator = batches(open_dataset(path), "lip", 0, Rows(batch_size))
    for _ in range(WARM_BATCHES):
        next(iterator)
    timing = timed(lambda: [next(iterator) for _ in range(MEASURED_BATCHES)] and None)
    return batch_size * MEASURED_BATCHES / timing.seconds


if __name__ == "__main__":
    keep_freed_memory()
    main()
