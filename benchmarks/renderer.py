"""`python -m benchmarks.renderer [--against PATH]`: F, M, W, G and a whole frame (W+G).

Weights are the golden recipe's. `--against` names a checkout of the PyTorch original
(LivePortrait). It runs in turn with ours, in a process of its own and on the same
weights: eagerly in float32, and on a GPU also compiled in float16. It needs torch and
PyYAML. With float32 among several `--dtypes`, the frames of the others are compared
with those of float32.
"""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.neighbour import Neighbour, Prepared
from benchmarks.networks import draw_inputs, our_networks, our_programs, recipe_weights
from benchmarks.originals import OriginalRenderer
from benchmarks.report import alternate, paired_ratio, publish
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.types import AnyArray

Letter = Literal["F", "M", "W", "G", "W+G"]
WORK = {"F": 64e9, "M": 11.6e9, "W": 342e9, "G": 892e9, "W+G": 1234e9}
"""Operations a frame of the network as published.

A multiplication and an addition count as two.
"""

PEAK_SIDE = {"cpu": 1024}
PEAK_SIDE_ELSEWHERE = 8192
"""Side of the matrices whose product measures the peak."""
PEAK_REPEATS = 5
COLUMNS = (
    "",
    "form",
    "compile, s",
    "first, ms",
    "median, ms",
    "CPU, ms",
    "GFLOP/s",
    "of the peak",
    "of the original",
    "PSNR, dB",
)


@dataclass(frozen=True)
class Options:
    """Time the networks that make frames.

    Attributes:
      networks: networks that are timed.
      batch_sizes: frames a call.
      dtypes: compute dtypes of our networks.
      repeats: calls that are timed, after the first.
      golden: folder of the golden recipe.
      against: checkout of the PyTorch original.
      json: where to write the figures.
    """

    networks: tuple[Letter, ...] = ("F", "M", "W", "G", "W+G")
    batch_sizes: tuple[int, ...] = (1,)
    dtypes: tuple[Literal["float32", "bfloat16", "float16"], ...] = ("float32",)
    repeats: int = 5
    golden: Path = Path("tests/golden")
    against: Path | None = None
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    # "W+G" needs the weights of both.
    letters = [
        letter for letter in "FMWG" if any(letter in name for name in options.networks)
    ]
    states = recipe_weights(options.golden, letters)
    networks = {dtype: our_networks(states, dtype) for dtype in options.dtypes}
    peaks = {dtype: measure_peak(dtype) for dtype in options.dtypes}
    try:
        with Neighbour.beside(options.against, OriginalRenderer, states) as original:
            figures = {
                f"{name} x {batch_size}": measure(
                    name, batch_size, networks, original, options.repeats
                )
                for name in options.networks
                for batch_size in options.batch_sizes
            }
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    rows: list[list[str]] = []
    for name, runs in figures.items():
        rows += rows_of(name, runs, peaks)
    publish("renderer", COLUMNS, rows, {"peak": peaks, "runs": figures}, options.json)


def measure(
    name: Letter,
    batch_size: int,
    networks: dict[str, Any],
    original: Neighbour | None,
    repeats: int,
) -> dict[str, dict[str, Any]]:
    """Time our forms and the original's, in turn on the same inputs.

    Args:
      name: network or networks.
      batch_size: frames a call.
      networks: dtype -> our networks.
      original: process of the original, if there is one.
      repeats: calls that are timed, after the first.
    """
    inputs = draw_inputs(batch_size)
    calls: dict[str, Callable[[], Any]] = {}
    costs: dict[str, dict[str, float]] = {}
    for dtype, ours in networks.items():
        program, arguments = our_programs(ours, inputs)[name]
        start = time.perf_counter()
        # Products as inference has them.
        with jax.default_matmul_precision("highest" if dtype == "float32" else None):
            compiled = jax.jit(program).lower(*arguments).compile()
        seconds = time.perf_counter() - start
        costs[dtype] = {"compile": seconds, "compiled_flops": compiled_flops(compiled)}
        calls[dtype] = partial(compiled, *arguments)
    # The original runs in its process, on the same inputs.
    contestants: dict[str, Callable[[], Any] | Prepared] = {**calls}
    if original is not None:
        for form in original.ask("forms"):
            contestants[form] = original.prepare("program", name, inputs, form)
    figures = alternate(contestants, repeats)
    if name == "W+G" and "float32" in networks:
        # Rounding errors of the whole frame, against our own float32.
        truth = calls["float32"]()
        for dtype in networks.keys() - {"float32"}:
            costs[dtype]["psnr"] = psnr(calls[dtype](), truth)
    work = WORK[name] * batch_size
    for form, run in figures.items():
        # Operations of the network as written, so that forms can be compared.
        flops = work / run["median"]
        figures[form] = {**run, **costs.get(form, {}), "flops": flops}
    return figures


def compiled_flops(compiled: Any) -> float:
    """Return the operations that the compiled program counts.

    They show a saving whatever else the machine does.
    """
    return compiled.cost_analysis()["flops"]


def measure_peak(dtype: str) -> float:
    """Return the FLOP a second of one device, by its best time for a large matrix
    product."""
    side = PEAK_SIDE.get(jax.default_backend(), PEAK_SIDE_ELSEWHERE)
    # Matrices so large that the product is bound by compute.
    matrix = jnp.ones((side, side), jnp.dtype(dtype))
    multiply = jax.jit(lambda a, b: a @ b)
    jax.block_until_ready(multiply(matrix, matrix))
    times = []
    for _ in range(PEAK_REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(multiply(matrix, matrix))
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times)


def psnr(image: AnyArray, truth: AnyArray) -> float:
    """Return the peak signal-to-noise ratio in dB of pictures of 0 to 1.

    It is 999 where they are equal.
    """
    difference = np.asarray(image, np.float64) - np.asarray(truth, np.float64)
    error = float(np.mean(difference**2))
    return -10 * math.log10(error) if error else 999.0


def rows_of(
    name: str, runs: dict[str, dict[str, Any]], peaks: dict[str, float]
) -> list[list[str]]:
    """Return a row for each form.

    Ours are compared with each of the original's by the median of the ratios of
    neighbouring calls.
    """
    rivals = [form for form in runs if form.startswith("original")]
    rows = []
    for form, run in runs.items():
        ratios: list[str] = []
        # Only ours have a ratio, one to each form of the original.
        if form not in rivals:
            ratios = [f"{paired_ratio(run, runs[rival]):.2f}x" for rival in rivals]
        row = [
            name,
            form,
            f"{run['compile']:.1f}" if "compile" in run else "",
            f"{1e3 * run['first']:.0f}",
            f"{1e3 * run['median']:.1f}",
            f"{1e3 * run['cpu']:.0f}",
            f"{run['flops'] / 1e9:.0f}",
            f"{run['flops'] / peaks[form]:.2f}" if form in peaks else "",
            ", ".join(ratios),
            f"{run['psnr']:.1f}" if "psnr" in run else "",
        ]
        rows.append(row)
    return rows


if __name__ == "__main__":
    keep_freed_memory()
    main()
