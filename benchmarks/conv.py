"""`python -m benchmarks.conv`: the forms of `ops.conv` over the renderer's shapes.

Forms of one convolution run in turn. The ratios are of the time of the convolution as
written. "aligned" ones have their channels filled up to a multiple of 8, which a GPU's
matrix units need in half precision. `ops.conv` uses the aligned 2-D ones there.
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
from jaxportrait.allocator import keep_freed_memory
from jaxportrait.ops.conv import (
    ALIGNMENT,
    FORMS_3D,
    aligned,
    as_written,
    convolve_prepared,
    half_padding,
    prepare,
    toom_cook_suits,
)
from jaxportrait.ops.resize import upsample_nearest

Form = tuple[Callable, Any]
"""A function of maps and weights, and those weights."""
COLUMNS = ("", "form", "median, ms", "CPU, ms", "of as written", "difference")
DEPTH = 16
"""Planes of a volume, as published."""


@dataclass(frozen=True)
class Shape:
    """A convolution of the renderer over a map of `side` x `side`, or a volume."""

    name: str
    side: int
    taps: tuple[int, ...]
    inputs: int
    outputs: int
    upsample: int = 1


# The convolutions that most of a frame's time is spent in, as published.
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
      only: text that the names of the shapes contain.
      batch_size: maps a call.
      dtype: compute dtype.
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
    shapes = [shape for shape in SHAPES if options.only in shape.name]
    figures = {shape.name: measure(shape, options) for shape in shapes}
    rows = []
    for name, runs in figures.items():
        for form, run in runs.items():
            row = [
                name,
                form,
                f"{1e3 * run['median']:.1f}",
                f"{1e3 * run['cpu']:.1f}",
                f"{paired_ratio(run, runs['as written']):.2f}x",
                f"{run['error']:.0e}",
            ]
            rows.append(row)
    title = f"convolutions: {options.dtype}, batch {options.batch_size}"
    publish(title, COLUMNS, rows, figures, options.json)


def measure(shape: Shape, options: Options) -> dict[str, dict[str, Any]]:
    """Measure the times of every form, and its error.

    The error is the largest difference from the convolution as written, as a share of
    the latter's largest value.
    """
    dtype = jnp.dtype(options.dtype)
    # Maps and weights as channels-last arrays, with outputs of about 1.
    rng = np.random.default_rng(0)
    depth = (DEPTH,) * (len(shape.taps) - 2)
    size = (options.batch_size, *depth, shape.side, shape.side, shape.inputs)
    x = rng.standard_normal(size, np.float32)
    kernel = rng.standard_normal((*shape.taps, shape.inputs, shape.outputs), np.float32)
    # Divided by the square root of the fan in.
    kernel /= np.sqrt(np.float32(np.prod(kernel.shape[:-1])))

    # Every form is compiled, then run once for its error, then timed in turn.
    calls: dict[str, Callable[[], Any]] = {}
    for name, (form, weights) in forms_of(shape, kernel, dtype).items():
        calls[name] = compiled(form, x, weights, dtype)
    results = {name: np.asarray(call(), np.float32) for name, call in calls.items()}
    runs = alternate(calls, options.repeats)
    reference = results["as written"]
    # In the compute dtype, so it holds the rounding of both forms.
    for name, result in results.items():
        error = np.abs(result - reference).max() / np.abs(reference).max()
        runs[name] = {**runs[name], "error": float(error)}
    return runs


def forms_of(shape: Shape, kernel: np.ndarray, dtype: Any) -> dict[str, Form]:
    """Return every form of a convolution by name, with the weights that it reads."""
    padding = half_padding(kernel)

    def written(x: Any, kernel: Any) -> Any:
        fine = upsample_nearest(x, shape.upsample)
        return as_written(fine, kernel, padding=padding)

    forms: dict[str, Form] = {"as written": (written, kernel)}
    # Other forms of the plain convolution.
    if shape.upsample == 1:
        for name, form in direct_forms(shape).items():
            forms[name] = (partial(form, padding=padding), kernel)

    # Forms whose kernels are prepared when a network is loaded.
    prepared = partial(convolve_prepared, upsample=shape.upsample, padding=padding)
    if shape.upsample > 1:
        kernels = prepare(kernel, shape.upsample, toom_cook=False)
        forms["taps merged"] = (prepared, kernels)
    if toom_cook_suits(dtype):
        kernels = prepare(kernel, shape.upsample, toom_cook=True)
        # One kernel means that Toom-Cook does not suit this shape.
        if len(kernels) > 1:
            forms["Toom-Cook"] = (prepared, kernels)
    return forms


def direct_forms(shape: Shape) -> dict[str, Callable]:
    """Return the forms of a map that is not upsampled, besides the one as written."""
    forms: dict[str, Callable] = {}
    aligned_names = ["as_written"]
    if len(shape.taps) == 3:
        forms |= FORMS_3D
        # It is there under its own title.
        del forms["as_written"]
        aligned_names += ["taps_as_inputs", "taps_as_outputs"]
    if shape.inputs % ALIGNMENT or shape.outputs % ALIGNMENT:
        for name in aligned_names:
            forms[f"{name}, aligned"] = partial(aligned, FORMS_3D[name])
    return forms


def compiled(
    form: Callable, x: np.ndarray, weights: Any, dtype: Any
) -> Callable[[], Any]:
    """Compile a form, and return its call on the device."""
    arguments = jax.tree.map(lambda array: array.astype(dtype), (x, weights))
    arguments = jax.device_put(arguments)
    program = jax.jit(form).lower(*arguments).compile()
    # Arguments stay on the device between calls.
    return lambda: program(*arguments)


if __name__ == "__main__":
    keep_freed_memory()
    main()
