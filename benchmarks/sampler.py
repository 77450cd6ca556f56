"""`python -m benchmarks.sampler [--against PATH]`: audio features -> motion, by length
of audio, steps and windows; and one window of live sound.

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
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.drivers.flow_program import sample_live_window, sample_motion
from jaxportrait.drivers.live_windows import Live, LiveWindows, plan_live_windows
from jaxportrait.drivers.windows import WindowMode, plan_windows
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_FPS, MotionStatistics
from train.flow.config import TransformerSize

# Width of the features of Whisper "tiny", and the published guidance.
AUDIO_WIDTH = 384
GUIDANCE = 4.5
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
Runs = dict[str, dict[str, Any]]
"""Form -> its times."""


@dataclass(frozen=True)
class Options:
    """Time the sampler.

    Attributes:
      size: sizes of the transformer; the published ones by default.
      seconds: lengths of audio.
      steps: Euler steps.
      windows: modes of whole clips, named by `infer --windows`.
      dtype: compute dtype of our network.
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
    try:
        with Neighbour.beside(
            options.against, OriginalTransformer, options.size, AUDIO_WIDTH
        ) as original:
            figures = measure_all(network, original, options)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    rows = [row for figure in figures for row in rows_of(**figure)]
    title = f"sampler: {options.dtype}, width {options.size.width}, guided"
    publish(title, COLUMNS, rows, figures, options.json)


def measure_all(
    network: Any, original: Neighbour | None, options: Options
) -> list[dict[str, Any]]:
    """Measure whole clips of every length, and a window of live sound."""
    figures = []
    settings = itertools.product(options.seconds, options.steps, options.windows)
    for seconds, steps, windows in settings:
        runs = measure(network, original, seconds, steps, windows, options)
        figure = {"seconds": seconds, "steps": steps, "windows": windows, "runs": runs}
        figures.append(figure)
    # A live window takes the same time wherever it stands.
    live = plan_live_windows(Live(), network.config, MOTION_FPS)
    for steps in options.steps:
        runs = measure_live(network, live, steps, options)
        seconds = live.stride / MOTION_FPS
        figure = {"seconds": seconds, "steps": steps, "windows": "live", "runs": runs}
        figures.append(figure)
    return figures


def measure(
    network: Any,
    original: Neighbour | None,
    seconds: float,
    steps: int,
    windows: WindowMode,
    options: Options,
) -> Runs:
    """Time our sampler and, where its windows are the original's, that one's, in turn
    on the same audio features."""
    frames = max(1, round(seconds * MOTION_FPS))
    plan, count = plan_windows(frames, network.config, windows)
    features = np.zeros((plan.features, AUDIO_WIDTH), np.float32)
    length = plan.features_of(count)
    features[:length] = draw_features(length)
    # The order of arguments is that of `sample_motion`.
    arguments = (
        network,
        unit_statistics(network),
        jnp.asarray(features),
        jax.random.key(0),
        jnp.asarray(count),
        jnp.asarray(GUIDANCE, jnp.float32),
    )
    lowered = sample_motion.lower(*arguments, plan=plan, steps=steps, guided=True)
    calls: dict[str, Callable[[], Any] | Prepared] = {}
    # The original reads the features of all windows as one batch.
    if original is not None and windows == "independent":
        audio = features[plan.feature_index[:count]]
        bfloat16 = options.dtype == "bfloat16"
        calls["original"] = original.prepare(
            "sampler", audio, steps, GUIDANCE, bfloat16
        )
    return time_forms(lowered, arguments, calls, options)


def measure_live(
    network: Any, windows: LiveWindows, steps: int, options: Options
) -> Runs:
    """Time one window of live sound."""
    config = network.config
    arguments = (
        network,
        unit_statistics(network),
        jnp.asarray(draw_features(config.audio_frames)),
        jax.random.key(0),
        jnp.zeros((config.motion_frames, config.motion_width)),
        jnp.asarray(1, jnp.int32),
        jnp.asarray(GUIDANCE, jnp.float32),
    )
    # Window 1 is the first that continues another.
    lowered = sample_live_window.lower(
        *arguments, windows=windows, steps=steps, guided=True
    )
    return time_forms(lowered, arguments, {}, options)


def time_forms(
    lowered: jax.stages.Lowered,
    arguments: tuple[Any, ...],
    others: dict[str, Callable[[], Any] | Prepared],
    options: Options,
) -> Runs:
    """Compile our program, and time it in turn with others."""
    start = time.perf_counter()
    compiled = lowered.compile()
    seconds = time.perf_counter() - start
    # Compiling is timed apart from the first call.
    calls = {"jaxportrait": lambda: compiled(*arguments), **others}
    runs = alternate(calls, options.repeats)
    runs["jaxportrait"]["compile"] = seconds
    return runs


def draw_features(count: int) -> np.ndarray:
    """Draw audio features."""
    features = np.random.default_rng(0).standard_normal((count, AUDIO_WIDTH))
    return features.astype(np.float32)


def unit_statistics(network: Any) -> MotionStatistics:
    """Return statistics that change nothing."""
    width = network.config.motion_width
    return MotionStatistics(jnp.zeros(width), jnp.ones(width))


def rows_of(seconds: float, steps: int, windows: str, runs: Runs) -> list[list[str]]:
    """Return a row a form."""
    rows = []
    for form, run in runs.items():
        paired = form == "jaxportrait" and "original" in runs
        share = f"{paired_ratio(run, runs['original']):.2f}x" if paired else ""
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
                share,
            ]
        )
    return rows


if __name__ == "__main__":
    keep_freed_memory()
    main()
