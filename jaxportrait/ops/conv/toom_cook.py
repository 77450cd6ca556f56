"""Toom-Cook convolutions along the height of a map: fewer products for more sums.

A tile of ten rows gives `11 - taps` rows of the result by ten products a column. The
plain form needs `taps * (11 - taps)`: 24 for three taps, 28 for seven. The rows of every
tile are combined to ten others. Each of those is convolved over the other axes with a
kernel of its own, and the results are combined to rows of the output. Doing so over the
depth of a volume too would save more, but rounds seven-tap kernels by 8e-5 of the scale.

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

from jaxportrait.ops.conv.maps import as_written
from jaxportrait.ops.conv.padding import Padding
from jaxportrait.ops.conv.volumes import taps_as_outputs
from jaxportrait.types import AnyArray

POINTS = (0, 1 / 2, -1 / 2, 2, -2, 4 / 5, -4 / 5, 5 / 4, -5 / 4)
"""Points at which polynomials are evaluated, besides infinity.

They are simple fractions that round little, each with its reciprocal."""

TILE = len(POINTS) + 1
"""Rows of a tile."""

MANY_TAPS = 3
"""More depth taps than these become output channels, which fill a processor's vectors
better."""


class Transforms(NamedTuple):
    """The matrices for one number of taps.

    A tile of results is `outputs @ ((kernel @ taps) * (inputs @ rows))`.
    """

    inputs: Float[np.ndarray, "tile tile"]
    kernel: Float[np.ndarray, "tile taps"]
    outputs: Float[np.ndarray, "rows tile"]


@cache
def transforms(taps: int) -> Transforms:
    """Compute the matrices in float64.

    They are those of a polynomial product by evaluation and interpolation, transposed.
    Each row of `inputs` is scaled to a sum of one, so that no transformed row is much
    larger than the others.
    """
    points = np.array(POINTS)
    inputs = np.zeros((TILE, TILE))
    # Row i: the coefficients of the polynomial that is zero at all points but i.
    for row in range(len(points)):
        inputs[row, :-1] = np.poly(np.delete(points, row))[::-1]
    inputs[-1] = np.poly(points)[::-1]
    scale = np.abs(inputs).sum(axis=1, keepdims=True)

    # A kernel is evaluated at every point, and divided by what interpolation needs.
    differences = points[:, None] - points[None, :] + np.eye(len(points))
    powers = np.vander(points, taps, increasing=True)
    kernel = np.zeros((TILE, taps))
    kernel[:-1] = powers / differences.prod(axis=1, keepdims=True)
    kernel[-1, -1] = 1  # infinity

    # Interpolation, transposed.
    outputs = np.vander(points, TILE + 1 - taps, increasing=True).T
    infinity = np.eye(len(outputs))[:, -1:]
    outputs = np.concatenate([outputs, infinity], axis=1)
    return Transforms(inputs / scale, kernel * scale, outputs)


def transform_kernel(kernel: Float[AnyArray, "*depth kh kw i o"]) -> list[AnyArray]:
    """Return the kernels (*depth, kw, i, o) that convolve transformed rows.

    They are on the host if `kernel` is there.
    """
    rows = [kernel[..., tap, :, :, :] for tap in range(kernel.shape[-4])]
    return [_combine(weights, rows) for weights in transforms(len(rows)).kernel]


class Tiles(NamedTuple):
    """A map whose rows were transformed.

    Attributes:
      rows: ten maps (n, tiles, *depth, w, c).
      taps: taps of the kernels that may convolve them.
      height: rows of the result.
    """

    rows: list[Array]
    taps: int
    height: int


def transform_rows(x: Float[Array, "n *depth h w c"], taps: int) -> Tiles:
    """Cut a map, padded so that the result has as many rows, into transformed tiles."""
    height = x.shape[-3]
    step = TILE + 1 - taps
    count = -(-height // step)
    before = taps // 2
    after = count * step + taps - 1 - before - height
    x = jnp.moveaxis(x, -3, 1)
    x = jnp.pad(x, [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)])
    # Without the barrier, XLA could compute x again for each of the ten rows.
    x = lax.optimization_barrier(x)
    end = step * (count - 1) + 1
    rows = [x[:, row : row + end : step] for row in range(TILE)]
    combined = [_combine(weights, rows) for weights in transforms(taps).inputs]
    return Tiles(combined, taps, height)


def convolve_tiles(
    tiles: Tiles, kernels: Sequence[Float[Array, "*depth kw i o"]], padding: Padding
) -> Float[Array, "n *depth h W o"]:
    """Cross-correlate tiles with the kernels that `transform_kernel` returned.

    Args:
      tiles: result of `transform_rows`.
      kernels: one for each row of a tile.
      padding: zeros before and after the other axes, (*depth, width).
    """
    weights = transforms(tiles.taps).outputs.T.astype(np.float32)
    terms = []
    for row, kernel, column in zip(tiles.rows, kernels, weights, strict=True):
        product = _convolve_across(row, kernel, padding)
        # One weight for each row of the result, over all other axes.
        column = column.reshape(1, 1, -1, *(1,) * (product.ndim - 2))
        terms.append(jnp.asarray(column) * product[:, :, None])
    rows = reduce(jnp.add, terms)  # (n, tiles, rows of a tile, *depth, w, o)
    rows = rows.reshape(rows.shape[0], -1, *rows.shape[3:])
    rows = rows[:, : tiles.height]  # the last tile reaches beyond the map
    return jnp.moveaxis(rows, 1, -3)


def _convolve_across(x: Array, kernel: Array, padding: Padding) -> Array:
    """Convolve one row of every tile over w, or over (depth, w) as maps in a batch."""
    if x.ndim == 4:
        return as_written(x, kernel[None], padding=[(0, 0), *padding])
    planes = x.reshape(-1, *x.shape[2:])
    if kernel.shape[0] > MANY_TAPS:
        depth, width = padding
        volume_padding = [depth, (0, 0), width]
        # (n, d, w, c) as a volume of height 1
        y = taps_as_outputs(
            planes[:, :, None], kernel[:, None], padding=volume_padding
        )[:, :, 0]
    else:
        y = as_written(planes, kernel, padding=padding)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _combine(weights: Float[np.ndarray, " terms"], terms: Sequence[Any]) -> Any:
    """Return a weighted sum, without the terms of weight zero."""
    products = []
    for weight, term in zip(weights, terms, strict=True):
        if weight:
            products.append(term * np.float32(weight))
    return reduce(operator.add, products)
