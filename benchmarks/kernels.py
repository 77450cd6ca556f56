"""`python -m benchmarks.kernels`: what an NVIDIA GPU would run, without having one.

XLA compiles for a card that it is told of, so its choices can be read on any machine:
which convolutions and matrix products it calls, what is copied only to change a layout,
what gathers, and the time that the operations or the bytes of each kernel would take at
the card's peaks. That is no measurement: `benchmarks.renderer` and `benchmarks.sampler`
measure. Nothing is tuned, which takes a card: matrix products are all the library's,
and fewer kernels are fused with them than where Triton's win. Bytes count as read from
the card's memory, though some lie in its cache.

It needs the extras `cuda12` and `train`. The networks have the published size, and no
weights.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import tyro
from jax.sharding import SingleDeviceSharding

from benchmarks.cards import TARGETS, Target, compile_targets
from benchmarks.hlo import Kernel, read_kernels
from benchmarks.programs import (
    frames_program,
    loss_program,
    motion_program,
    on_device,
    update_program,
)
from benchmarks.report import publish

COLUMNS = ("program", "kernels", "calls", "TFLOP", "GB", "of the bytes", "at peaks, ms")
WITHOUT_TUNING: dict[str, str | bool] = {"xla_gpu_enable_triton_gemm": False}
"""Triton's matrix products are chosen by timing them on the card. Here the library has
all of them."""


@dataclass(frozen=True)
class Options:
    """Read what a GPU would run.

    Attributes:
      card: card that is compiled for.
      dtype: compute dtype of W and G; the flow transformer has bfloat16.
      batch_size: frames a call.
      seconds: seconds of audio.
      steps: Euler steps.
      windows: windows of a batch, in training.
      devices: such cards over which a batch is spread.
      text: folder for the programs' texts.
      json: where to write the figures.
    """

    card: Literal["h100", "h200"] = "h200"
    dtype: Literal["float16", "bfloat16"] = "float16"
    batch_size: int = 8
    seconds: float = 60.0
    steps: int = 25
    windows: int = 64
    devices: int = 1
    text: Path | None = None
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    target = TARGETS[options.card]
    try:
        devices = compile_targets(target, options.devices)
    # JAX raises it where its plug-in for CUDA is missing.
    except NotImplementedError as error:
        print(
            f"error: no compiler for NVIDIA GPUs ({error}): pip install -e '.[cuda12]'",
            file=sys.stderr,
        )
        sys.exit(2)
    rows: list[list[str]] = []
    figures: dict[str, Any] = {}
    for name, program in programs_of(options, devices).items():
        # Compiling needs no card; only running would.
        text = program().compile(WITHOUT_TUNING).as_text() or ""
        kernels = read_kernels(text)
        rows += rows_of(name, kernels, target)
        figures[name] = [vars(kernel) for kernel in kernels]
        if options.text is not None:
            options.text.mkdir(parents=True, exist_ok=True)
            (options.text / f"{name}.txt").write_text(text, encoding="utf-8")
    title = f"{target.name}, {options.dtype}, compiled without it"
    publish(title, COLUMNS, rows, figures, options.json)


def programs_of(
    options: Options, devices: Any
) -> dict[str, Callable[[], jax.stages.Lowered]]:
    """Return each program's name and the call that lowers it."""
    # The programs of a clip run on one card, an update on all of them.
    place = partial(on_device, SingleDeviceSharding(devices[0]))
    return {
        f"{options.batch_size} frames": partial(
            frames_program, options.batch_size, options.dtype, place
        ),
        f"motion of {options.seconds:g} s": partial(
            motion_program, options.seconds, options.steps, place
        ),
        f"the loss of {options.windows} windows": partial(
            loss_program, options.windows, place
        ),
        "the same with gradients": partial(
            loss_program, options.windows, place, gradients=True
        ),
        f"an update by {options.windows} windows": partial(
            update_program, options.windows, devices
        ),
    }


def rows_of(name: str, kernels: Sequence[Kernel], target: Target) -> list[list[str]]:
    """Return a row for each kind of kernels, and one for all of them."""
    kinds = sorted({kernel.kind for kernel in kernels})
    # Kinds in alphabetical order, then their sum.
    groups: dict[str, list[Kernel]] = {}
    for kind in kinds:
        groups[kind] = [kernel for kernel in kernels if kernel.kind == kind]
    groups["all"] = list(kernels)
    # A kernel inside a loop counts once a turn.
    total = sum(kernel.moved * kernel.calls for kernel in kernels)
    rows = []
    for kind, group in groups.items():
        calls = sum(kernel.calls for kernel in group)
        flops = sum(kernel.flops * kernel.calls for kernel in group)
        moved = sum(kernel.moved * kernel.calls for kernel in group)
        seconds = sum(target.least_time(kernel) for kernel in group)
        row = [
            name if kind == kinds[0] else "",
            kind,
            str(calls),
            f"{flops / 1e12:.2f}",
            f"{moved / 1e9:.2f}",
            f"{moved / total:.0%}",
            f"{1e3 * seconds:.2f}",
        ]
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
