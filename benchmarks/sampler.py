"""`python -m benchmarks.sampler [--against PATH]`: audio features -> motion, by length
of audio, steps and windows.

The transformer has fresh weights, which do not change its time. `--against` names a
checkout of the PyTorch original (LivePortrait_AudioDriven), whose network integrates
the same windows in turn with ours, in a process of its own, in float32: `independent`
windows, all in one batch, as the original has them. It needs torch, einops and
torchdiffeq.
"""

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx

from benchmarks.neighbour import Neighbour, Prepared
from benchmarks.originals import OriginalTransformer
from benchmarks.report import alternate, paired_ratio, publish
from jaxportrait.console.allocator import keep_freed_memory
from jaxportrait.drivers.flow import sample_motion
from jaxportrait.drivers.windows import WindowMode, plan_windows
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_FPS, MotionStatistics
from train.flow.config import TransformerSize

AUDIO_WIDTH, GUIDANCE = 384, 4.5
COLUMNS = (
    "audio",
    "steps",
    "windows",
    "form",
    "compile, s",
    "first, s",
    "median, s",
    "s a second",
    "of the original",
)


@dataclass(frozen=True)
class Options:
    """Time the sampler.

    Attributes:
      size: of the transformer; the published one by default.
      seconds: of audio.
      steps: Euler steps.
      windows: as `infer --windows` has them.
      dtype: in which our network computes.
      repeats: calls that are timed, after the first.
      against: checkout of the PyTorch original.
      json: where to write the figures.
    """

    size: tyro.conf.OmitArgPrefixes[TransformerSize] = field(
        default_factory=TransformerSize
    )
    seconds: tuple[float, ...] = (1.0, 10.0)
    steps: tuple[int, ...] = (10, 25)
    windows: tuple[WindowMode, ...] = ("fused", "independent")
    dtype: Literal["float32", "bfloat16"] = "float32"
    repeats: int = 3
    against: Path | None = None
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    config = options.size.config("lip", AUDIO_WIDTH)
    network = build(config, dtype=jnp.dtype(options.dtype), rngs=nnx.Rngs(0))
    network.eval()
    figures, rows = [], []
    try:
        with Neighbour.beside(
            options.against, OriginalTransformer, options.size, AUDIO_WIDTH
        ) as original:
            for seconds, steps, windows in itertools.product(
                options.seconds, options.steps, options.windows
            ):
                runs = measure(network, original, seconds, steps, windows, options)
                figures.append(
                    {
                        "seconds": seconds,
                        "steps": steps,
                        "windows": windows,
                        "runs": runs,
                    }
                )
                rows += rows_of(seconds, steps, windows, runs)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    title = f"sampler: {options.dtype}, width {options.size.width}, guided"
    publish(title, COLUMNS, rows, figures, options.json)


def measure(
    network: Any,
    original: Neighbour | None,
    seconds: float,
    steps: int,
    windows: WindowMode,
    options: Options,
) -> dict[str, dict[str, Any]]:
    """Our sampler and, where its windows are the original's, that one's, in turn on the
    same audio features."""
    frames = max(1, round(seconds * MOTION_FPS))
    plan, count = plan_windows(frames, network.config, windows)
    features = np.zeros((plan.features, AUDIO_WIDTH), np.float32)
    used = plan.features_of(count)
    features[:used] = np.random.default_rng(0).standard_normal((used, AUDIO_WIDTH))
    width = network.config.motion_width
    arguments = (
        network,
        MotionStatistics(jnp.zeros(width), jnp.ones(width)),
        jnp.asarray(features),
        jax.random.key(0),
        jnp.asarray(count),
        jnp.asarray(GUIDANCE, jnp.float32),
    )
    lowered = sample_motion.lower(*arguments, plan=plan, steps=steps, guided=True)
    start = time.perf_counter()
    compiled = lowered.compile()
    compiling = time.perf_counter() - start
    calls: dict[str, Callable[[], Any] | Prepared] = {
        "jaxportrait": lambda: compiled(*arguments)
    }
    if original is not None and windows == "independent":
        heard = features[plan.feature_index[:count]]
        calls["original"] = original.prepare(
            "sampler", heard, steps, GUIDANCE, options.dtype == "bfloat16"
        )
    runs = alternate(calls, options.repeats)
    runs["jaxportrait"]["compile"] = compiling
    return runs


def rows_of(
    seconds: float, steps: int, windows: WindowMode, runs: dict[str, dict[str, Any]]
) -> list[list[str]]:
    rows = []
    for form, run in runs.items():
        paired = form == "jaxportrait" and "original" in runs
        rows.append(
            [
                f"{seconds:g} s",
                str(steps),
                windows,
                form,
                f"{run['compile']:.1f}" if "compile" in run else "",
                f"{run['first']:.2f}",
                f"{run['median']:.2f}",
                f"{run['median'] / seconds:.2f}",
                f"{paired_ratio(run, runs['original']):.2f}x" if paired else "",
            ]
        )
    return rows


if __name__ == "__main__":
    keep_freed_memory()
    main()
