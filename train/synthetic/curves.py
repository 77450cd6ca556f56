"""Smooth shapes: steps, bells, powers, interpolated tables, curves and noise."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32

Field = Float[np.ndarray, "..."]
"""Values at points in any arrangement."""
Number = float | Field


def smoothstep(start: Number, end: Number, x: Number) -> Field:
    """Rise from 0 at `start` to 1 at `end` without a corner."""
    t = np.clip((np.asarray(x) - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def bell(x: Number, center: Number, width: Number) -> Field:
    """Return a gaussian of height 1 whose standard deviation is `width`."""
    distance = (np.asarray(x) - center) / width
    return np.exp(-0.5 * distance**2)


def signed_power(x: Field, exponent: Number) -> Field:
    """Raise |x| to a power and keep the sign of x.

    Applied to cosine and sine, it gives superellipses.

    Args:
      x: values.
      exponent: power, above 0.
    """
    return np.sign(x) * np.abs(x) ** exponent


def interpolate(x: Field, table: Sequence[tuple[float, float]]) -> Field:
    """Read a table of (x, y) by cubic Hermite pieces; it is flat outside.

    The slope at a knot is the slope between its neighbours.
    """
    xs, ys = np.array(table, np.float64).T
    slopes = np.gradient(ys, xs)
    x = np.clip(x, xs[0], xs[-1])
    # i is the knot at the start of the piece, t the position within it, 0 to 1.
    i = np.clip(np.searchsorted(xs, x, side="right") - 1, 0, len(xs) - 2)
    step = xs[i + 1] - xs[i]
    t = (x - xs[i]) / step
    # Values blend by a smooth step; slopes count between the knots only.
    rise = t * t * (3 - 2 * t)
    run = t * (1 - t)
    level = ys[i] * (1 - rise) + ys[i + 1] * rise
    return level + step * run * (slopes[i] * (1 - t) - slopes[i + 1] * t)


def smooth_curve(
    points: Sequence[tuple[float, float]] | Float[np.ndarray, "k d"], samples: int
) -> Float[np.ndarray, "s d"]:
    """Pass a curve through points by Catmull-Rom pieces.

    The first and the last point are its ends. Samples are evenly spaced by the index
    of the points, not by length.
    """
    points = np.asarray(points, np.float64)
    positions = np.linspace(0, len(points) - 1, samples)
    columns = []
    for coordinates in points.T:
        table = list(enumerate(coordinates.tolist()))
        columns.append(interpolate(positions, table))
    return np.stack(columns, axis=1)


def smooth_noise(
    random: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]
) -> Float32[np.ndarray, "h w"]:
    """Draw smooth random values of deviation 1.

    Args:
      shape: rows and columns of the result.
      cells: rows and columns of the lattice that is enlarged to `shape`; few cells
        give large spots.
    """
    rows, columns = (max(2, round(count)) for count in cells)
    lattice = random.standard_normal((rows, columns)).astype(np.float32)
    height, width = shape
    return cv2.resize(lattice, (width, height), interpolation=cv2.INTER_CUBIC)
