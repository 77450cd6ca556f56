"""`python -m benchmarks.conv`: the forms of `ops.conv` and `ops.prepared` over the
renderer's shapes.

Forms of one convolution run in turn; the ratios are of the time of the convolution as
written. "aligned" ones have their channels filled up to a multiple of 8, which a GPU's
matrix units want in halves; `ops.conv` takes the aligned 2-D ones there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.report import alternate, paired_ratio, publish
from jaxportrait.console.allocator import keep_freed_memory
from jaxportrait.ops.conv.direct import (
    ALIGNMENT,
    FORMS_3D,
    aligned,
    as_written,
    half_padding,
)
from jaxportrait.ops.conv.prepared import convolve_prepared, prepare
from jaxportrait.ops.resize import upsample_nearest


@dataclass(frozen=True)
class Shape:
    """A convolution of the renderer: over a map of `side` x `side`, 16 deep where the
    kernel is 3-D."""

    name: str
    side: int
    taps: tuple[int, ...]
    inputs: int
    outputs: int
    upsample: int = 1


SHAPES = (
    Shape("W mask", 64, (7, 7, 7), 142, 22),
    Shape("W hourglass last", 64, (3, 3, 3), 142, 142),
    Shape("W hourglass down 0", 64, (3, 3, 3), 110, 64),
    Shape("W hourglass down 1", 32, (3, 3, 3), 64, 128),
    Shape("W hourglass down 4", 4, (3, 3, 3), 512, 1024),
    Shape("W hourglass up 3", 16, (3, 3, 3), 256, 64, 2),
    Shape("W flatten", 64, (3, 3), 512, 256),
    Shape("F residual", 64, (3, 3, 3), 32, 32),
    Shape("G middle", 64, (3, 3), 512, 512),
    Shape("G middle gamma, beta", 64, (3, 3), 128, 1024),
    Shape("G up1 shared", 64, (3, 3), 256, 384, 2),
    Shape("G up1 conv1", 128, (3, 3), 512, 256),
    Shape("G up2 shared", 64, (3, 3), 256, 384, 4),
    Shape("G up2 gamma, beta", 256, (3, 3), 128, 512),
)


@dataclass(frozen=True)
class Options:
    """Time the forms of a convolution.

    Attributes:
      only: shapes whose names hold this text.
      batch_size: maps a call.
      dtype: in which they are computed.
      repeats: calls that are timed, after the first.
      json: where to write the figures.
    """

    only: str = ""
    batch_size: int = 1
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    repeats: int = 5
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    figures = {
        shape.name: measure(shape, options)
        for shape in SHAPES
        if options.only in shape.name
    }
    rows = [
        [
            name,
            form,
            f"{1e3 * run['median']:.1f}",
            f"{1e3 * run['cpu']:.1f}",
            f"{paired_ratio(run, runs['as written']):.2f}x",
            f"{run['error']:.0e}",
        ]
        for name, runs in figures.items()
        for form, run in runs.items()
    ]
    columns = ("", "form", "median, ms", "CPU, ms", "of as written", "difference")
    publish(
        f"convolutions: {options.dtype}, batch {options.batch_size}",
        columns,
        rows,
        figures,
        options.json,
    )


def measure(shape: Shape, options: Options) -> dict[str, dict[str, Any]]:
    """Times of every form, and how far its result is from that of the convolution as
    written, of the latter's scale."""
    rng = np.random.default_rng(0)
    depth = (16,) * (len(shape.taps) - 2)
    x = rng.standard_normal(
        (options.batch_size, *depth, shape.side, shape.side, shape.inputs), np.float32
    )
    kernel = rng.standard_normal((*shape.taps, shape.inputs, shape.outputs), np.float32)
    kernel /= np.sqrt(np.float32(np.prod(kernel.shape[:-1])))
    dtype = jnp.dtype(options.dtype)
    calls = {
        name: compiled(form, x, weights, dtype)
        for name, (form, weights) in forms_of(shape, kernel, dtype).items()
    }
    results = {name: np.asarray(call(), np.float32) for name, call in calls.items()}
    plain, runs = results["as written"], alternate(calls, options.repeats)
    return {
        name: {
            **run,
            "error": float(np.abs(results[name] - plain).max() / np.abs(plain).max()),
        }
        for name, run in runs.items()
    }


def forms_of(
    shape: Shape, kernel: np.ndarray, dtype: Any
) -> dict[str, tuple[Callable, Any]]:
    """Name -> a form and the weights that it reads."""
    padding = half_padding(jnp.asarray(kernel))

    def written(x: Any, kernel: Any) -> Any:
        return as_written(upsample_nearest(x, shape.upsample), kernel, padding=padding)

    whole = {"as written": written}
    if shape.upsample == 1 and len(shape.taps) == 3:
        others = {
            name: form for name, form in FORMS_3D.items() if form is not as_written
        }
        whole |= {name: partial(form, padding=padding) for name, form in others.items()}
    forms: dict[str, tuple[Callable, Any]] = {
        name: (form, kernel) for name, form in whole.items()
    }
    if shape.upsample == 1 and (shape.inputs % ALIGNMENT or shape.outputs % ALIGNMENT):
        in_2d = ("taps_as_inputs", "taps_as_outputs") if len(shape.taps) == 3 else ()
        for name, form in {
            "as written": as_written,
            **{name: FORMS_3D[name] for name in in_2d},
        }.items():
            forms[f"{name}, aligned"] = (
                partial(aligned, form, padding=padding),
                kernel,
            )
    prepared = partial(convolve_prepared, upsample=shape.upsample, padding=padding)
    exact = jax.default_backend() == "cpu" and dtype == jnp.float32
    for name, toom_cook in (
        ("taps merged", False),
        *([("Toom-Cook", True)] if exact else []),
    ):
        kernels = prepare(kernel, shape.upsample, toom_cook=toom_cook)
        if len(kernels) > 1 if toom_cook else shape.upsample > 1:
            forms[name] = (prepared, kernels)
    return forms


def compiled(
    form: Callable, x: np.ndarray, weights: Any, dtype: Any
) -> Callable[[], Any]:
    """A call of the form on the device."""
    arguments = jax.device_put(
        jax.tree.map(lambda array: array.astype(dtype), (x, weights))
    )
    program = jax.jit(form).lower(*arguments).compile()
    return lambda: program(*arguments)


if __name__ == "__main__":
    keep_freed_memory()
    main()
