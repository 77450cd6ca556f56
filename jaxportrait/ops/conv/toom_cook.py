"""Toom-Cook convolutions: fewer products, for the price of sums, along the height of a
map.

A tile of ten rows gives `11 - taps` rows of the result by ten products a column, where
the plain form takes `taps * (11 - taps)`: 24 for three taps, 28 for seven. The rows of
every tile are combined to ten others, each is convolved over the axes that are left
with a kernel of its own, and the results are combined to the rows wanted. The same
again over the depth of a volume would spare more, but rounds seven-tap kernels by 8e-5
of the scale.

Source: Toom, 1963; Cook, 1966; Lavin and Gray, "Fast algorithms for convolutional
neural networks", 2016.
"""

import operator
from collections.abc import Sequence
from functools import cache, reduce
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxportrait.ops.conv.direct import taps_as_outputs
from jaxportrait.types import AnyArray

POINTS = (0, 1 / 2, -1 / 2, 2, -2, 4 / 5, -4 / 5, 5 / 4, -5 / 4)
"""Where polynomials are evaluated, infinity besides: simple fractions that round
little, each with its reciprocal."""

TILE = len(POINTS) + 1

MANY_TAPS = 3
"""Along the depth; more of them become output channels, which fill a processor's
vectors better."""


class Transforms(NamedTuple):
    """The matrices of one number of taps: a tile of results is `outputs @ ((kernel @
    taps) * (inputs @ rows))`."""

    inputs: Float[np.ndarray, "tile tile"]
    kernel: Float[np.ndarray, "tile taps"]
    outputs: Float[np.ndarray, "rows tile"]


@cache
def transforms(taps: int) -> Transforms:
    """Of polynomial products by evaluation and interpolation, transposed, in float64.

    Each row of `inputs` is scaled to a sum of one, so that no transformed row is much
    larger than the others.
    """
    points = np.array(POINTS)
    differences = points[:, None] - points[None, :] + np.eye(len(points))
    inputs, kernel = np.zeros((TILE, TILE)), np.zeros((TILE, taps))
    for row in range(len(points)):
        inputs[row, :-1] = np.poly(np.delete(points, row))[::-1]
    inputs[-1] = np.poly(points)[::-1]
    kernel[:-1] = np.vander(points, taps, increasing=True) / differences.prod(
        axis=1, keepdims=True
    )
    kernel[-1, -1] = 1
    outputs = np.vander(points, TILE + 1 - taps, increasing=True).T
    outputs = np.concatenate([outputs, np.eye(len(outputs))[:, -1:]], axis=1)
    scale = np.abs(inputs).sum(axis=1, keepdims=True)
    return Transforms(inputs / scale, kernel * scale, outputs)


def transform_kernel(kernel: Float[AnyArray, "*depth kh kw i o"]) -> list[AnyArray]:
    """The kernels (*depth, kw, i, o) that convolve transformed rows; on the host if
    `kernel` is there."""
    rows = [kernel[..., tap, :, :, :] for tap in range(kernel.shape[-4])]
    return [_combine(weights, rows) for weights in transforms(len(rows)).kernel]


class Tiles(NamedTuple):
    """A map whose rows were transformed.

    Attributes:
      rows: ten maps (n, tiles, *depth, w, c).
      taps: of the kernels that may convolve them.
      height: rows of the result.
    """

    rows: list[Array]
    taps: int
    height: int


def transform_rows(x: Float[Array, "n *depth h w c"], taps: int) -> Tiles:
    """The tiles of a map, padded so that the result has as many rows."""
    step, before, height = TILE + 1 - taps, taps // 2, x.shape[-3]
    tiles = -(-height // step)
    after = tiles * step + taps - 1 - before - height
    x = jnp.moveaxis(x, -3, 1)
    # Without the barrier, what made x could be computed again for each of the ten.
    x = lax.optimization_barrier(
        jnp.pad(x, [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)])
    )
    rows = [x[:, row : row + step * (tiles - 1) + 1 : step] for row in range(TILE)]
    return Tiles(
        [_combine(weights, rows) for weights in transforms(taps).inputs], taps, height
    )


def convolve_tiles(
    tiles: Tiles,
    kernels: Sequence[Float[Array, "*depth kw i o"]],
    padding: Sequence[tuple[int, int]],
) -> Float[Array, "n *depth h W o"]:
    """The cross-correlation of which `transform_kernel` made `kernels`.

    Args:
      padding: zeros before and after the axes left, (*depth, width).
    """
    products = [
        _convolve_across(row, kernel, padding)
        for row, kernel in zip(tiles.rows, kernels, strict=True)
    ]
    columns = transforms(tiles.taps).outputs.T.astype(np.float32)
    shape = (1, 1, -1) + (1,) * (products[0].ndim - 2)
    terms = [
        jnp.asarray(column.reshape(shape)) * y[:, :, None]
        for column, y in zip(columns, products, strict=True)
    ]
    rows = reduce(jnp.add, terms)  # (n, tiles, rows of a tile, *depth, w, o)
    rows = rows.reshape(rows.shape[0], -1, *rows.shape[3:])[:, : tiles.height]
    return jnp.moveaxis(rows, 1, -3)


def _convolve_across(
    x: Array, kernel: Array, padding: Sequence[tuple[int, int]]
) -> Array:
    """A convolution of one of a tile's rows: over w, or over (depth, w) with the tiles
    in the batch."""
    if x.ndim == 4:
        return _convolve(x, kernel[None], [(0, 0), *padding])
    planes = x.reshape(-1, *x.shape[2:])
    if kernel.shape[0] > MANY_TAPS:
        depth, width = padding
        y = taps_as_outputs(
            planes[:, :, None], kernel[:, None], padding=[depth, (0, 0), width]
        )[:, :, 0]
    else:
        y = _convolve(planes, kernel, padding)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _convolve(x: Array, kernel: Array, padding: Sequence[tuple[int, int]]) -> Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _combine(weights: Float[np.ndarray, " terms"], terms: Sequence[Any]) -> Any:
    """A weighted sum, without the terms of weight zero."""
    return reduce(
        operator.add,
        (term * np.float32(w) for w, term in zip(weights, terms, strict=True) if w),
    )
