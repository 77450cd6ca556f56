"""Toom-Cook convolutions: fewer products, for the price of sums, along the height of a map and the depth of a volume.

A tile of ten rows gives `11 - taps` rows of the result by ten products a column, where the plain form takes
`taps * (11 - taps)`: 24 for three taps, 28 for seven. The rows of every tile are combined to ten others, each is
convolved over the axes that are left with a kernel of its own, and the results are combined to the rows wanted. Over
the planes of a volume the same is done to each of the ten.

Source: Toom, 1963; Cook, 1966; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016.
"""

import operator
from collections.abc import Sequence
from functools import cache, reduce
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxportrait.types import AnyArray

POINTS = {
    6: (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2),
    10: (0, 1 / 2, -1 / 2, 2, -2, 4 / 5, -4 / 5, 5 / 4, -5 / 4),
}
"""Tile -> where polynomials are evaluated, infinity besides: of sets of simple fractions, that of least rounding."""

TILE = 10
DEPTH_TILES = {3: 6, 7: 10}
"""Taps -> the tile of planes; two tiles of ten would round three-tap kernels by 4e-5 of the scale, these by 6e-6."""


class Transforms(NamedTuple):
    """The matrices of one number of taps: a tile of results is `outputs @ ((kernel @ taps) * (inputs @ rows))`."""

    inputs: Float[np.ndarray, "tile tile"]
    kernel: Float[np.ndarray, "tile taps"]
    outputs: Float[np.ndarray, "rows tile"]


@cache
def transforms(taps: int, tile: int) -> Transforms:
    """Of polynomial products by evaluation and interpolation, transposed, in float64.

    Each row of `inputs` is scaled to a sum of one, so that no transformed row is much larger than the others.
    """
    points = np.array(POINTS[tile])
    differences = points[:, None] - points[None, :] + np.eye(len(points))
    inputs, kernel = np.zeros((tile, tile)), np.zeros((tile, taps))
    for row in range(len(points)):
        inputs[row, :-1] = np.poly(np.delete(points, row))[::-1]
    inputs[-1] = np.poly(points)[::-1]
    kernel[:-1] = np.vander(points, taps, increasing=True) / differences.prod(axis=1, keepdims=True)
    kernel[-1, -1] = 1
    outputs = np.vander(points, tile + 1 - taps, increasing=True).T
    outputs = np.concatenate([outputs, np.eye(len(outputs))[:, -1:]], axis=1)
    scale = np.abs(inputs).sum(axis=1, keepdims=True)
    return Transforms(inputs / scale, kernel * scale, outputs)


def transform_kernel(kernel: Float[AnyArray, "*depth kh kw i o"], tile: int = TILE) -> list[AnyArray]:
    """The kernels (*depth, kw, i, o) that convolve transformed rows; on the host if `kernel` is there."""
    rows = [kernel[..., tap, :, :, :] for tap in range(kernel.shape[-4])]
    return [_combine(weights, rows) for weights in transforms(len(rows), tile).kernel]


def transform_kernel_and_depth(kernel: Float[AnyArray, "kd kh kw i o"]) -> list[AnyArray]:
    """The kernels (kw, i, o) that convolve rows whose planes are transformed too, plane by plane of each row."""
    return [plane for row in transform_kernel(kernel) for plane in transform_kernel(row, DEPTH_TILES[len(row)])]


class Tiles(NamedTuple):
    """A map whose rows were transformed.

    Attributes:
      rows: as many maps (n, tiles, *depth, w, c) as a tile has rows.
      taps: of the kernels that may convolve them.
      height: rows of the result.
    """

    rows: list[Array]
    taps: int
    height: int


def transform_rows(x: Float[Array, "n *depth h w c"], taps: int, tile: int = TILE) -> Tiles:
    """The tiles of a map, padded so that the result has as many rows."""
    step, before, height = tile + 1 - taps, taps // 2, x.shape[-3]
    tiles = -(-height // step)
    after = tiles * step + taps - 1 - before - height
    x = jnp.moveaxis(x, -3, 1)
    # Without the barrier, what made x would be computed again for each row of the tile.
    x = lax.optimization_barrier(jnp.pad(x, [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)]))
    rows = [x[:, row : row + step * (tiles - 1) + 1 : step] for row in range(tile)]
    return Tiles([_combine(weights, rows) for weights in transforms(taps, tile).inputs], taps, height)


def convolve_tiles(
    tiles: Tiles, kernels: Sequence[Array], padding: Sequence[tuple[int, int]]
) -> Float[Array, "n *depth h W o"]:
    """The cross-correlation of which `transform_kernel` or `transform_kernel_and_depth` made `kernels`.

    Args:
      padding: zeros before and after the axes left, (*depth, width).
    """
    tile = len(tiles.rows)
    share = len(kernels) // tile
    shares = [kernels[row * share : (row + 1) * share] for row in range(tile)]
    products = [_convolve_across(row, kernels, padding) for row, kernels in zip(tiles.rows, shares, strict=True)]
    columns = transforms(tiles.taps, tile).outputs.T.astype(np.float32)
    shape = (1, 1, -1) + (1,) * (products[0].ndim - 2)
    terms = [jnp.asarray(column.reshape(shape)) * y[:, :, None] for column, y in zip(columns, products, strict=True)]
    rows = reduce(jnp.add, terms)  # (n, tiles, rows of a tile, *depth, w, o)
    rows = rows.reshape(rows.shape[0], -1, *rows.shape[3:])[:, : tiles.height]
    return jnp.moveaxis(rows, 1, -3)


def _convolve_across(x: Array, kernels: Sequence[Array], padding: Sequence[tuple[int, int]]) -> Array:
    """A convolution of one of a tile's rows over the axes that are left: width, and depth where there is one."""
    if x.ndim == 4:
        return _convolve(x, kernels[0][None], [(0, 0), *padding])
    planes = x.reshape(-1, *x.shape[2:])
    if len(kernels) == 1:
        y = _convolve(planes, kernels[0], padding)
    else:
        tiles = transform_rows(planes, 2 * padding[0][0] + 1, len(kernels))
        # The barrier keeps the sums over planes from being made again for every row of the tile.
        y = lax.optimization_barrier(convolve_tiles(tiles, kernels, padding[1:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _convolve(x: Array, kernel: Array, padding: Sequence[tuple[int, int]]) -> Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _combine(weights: Float[np.ndarray, " terms"], terms: Sequence[Any]) -> Any:
    """A weighted sum, without the terms of weight zero."""
    return reduce(operator.add, (term * np.float32(w) for w, term in zip(weights, terms, strict=True) if w))
