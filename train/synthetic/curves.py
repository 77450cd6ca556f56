"""Smooth shapes: steps, bells, powers, interpolated tables, curves and noise."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32

Number = float | Float[np.ndarray, "..."]


def smoothstep(start: Number, end: Number, x: Number) -> Float[np.ndarray, "..."]:
    """Rise from 0 at `start` to 1 at `end` without a corner."""
    t = np.clip((np.asarray(x) - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def bell(x: Number, center: Number, width: Number) -> Float[np.ndarray, "..."]:
    """A gaussian of height 1."""
    return np.exp(-0.5 * ((np.asarray(x) - center) / width) ** 2)


def signed_power(
    x: Float[np.ndarray, "..."], exponent: Number
) -> Float[np.ndarray, "..."]:
    """|x| to a power, with the sign of x: of cosine and sine it makes superellipses."""
    return np.sign(x) * np.abs(x) ** exponent


def interpolate(
    x: Float[np.ndarray, "..."], table: Sequence[tuple[float, float]]
) -> Float[np.ndarray, "..."]:
    """Read a table of (x, y) by cubic Hermite pieces, flat outside; slopes are those
    between the neighbours."""
    xs, ys = np.array(table, np.float64).T
    slopes = np.gradient(ys, xs)
    x = np.clip(x, xs[0], xs[-1])
    i = np.clip(np.searchsorted(xs, x, side="right") - 1, 0, len(xs) - 2)
    step = xs[i + 1] - xs[i]
    t = (x - xs[i]) / step
    rise, run = t * t * (3 - 2 * t), t * (1 - t)
    return (
        ys[i] * (1 - rise)
        + ys[i + 1] * rise
        + step * run * (slopes[i] * (1 - t) - slopes[i + 1] * t)
    )


def smooth_curve(
    points: Sequence[tuple[float, float]] | Float[np.ndarray, "k 2"], samples: int
) -> Float[np.ndarray, "s 2"]:
    """Pass a curve through points by Catmull-Rom pieces; its ends are the first and the
    last one."""
    points = np.asarray(points, np.float64)
    at = np.linspace(0, len(points) - 1, samples)
    return np.stack(
        [interpolate(at, list(enumerate(column.tolist()))) for column in points.T],
        axis=1,
    )


def smooth_noise(
    random: np.random.Generator, shape: tuple[int, int], cells: tuple[float, float]
) -> Float32[np.ndarray, "h w"]:
    """Random values of deviation 1 on a lattice of `cells` rows and columns, enlarged
    smoothly to `shape`."""
    rows, columns = (max(2, round(count)) for count in cells)
    lattice = random.standard_normal((rows, columns)).astype(np.float32)
    return cv2.resize(lattice, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
