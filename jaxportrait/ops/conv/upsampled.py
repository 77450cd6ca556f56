"""Convolutions of upsampled maps, as exact rewrites over the map before it was
upsampled.

Neighbouring fine pixels that repeat one coarse pixel let kernel taps merge: every
output phase is a convolution of two taps an axis over the coarse map, or one. At factor
2 that is 4/9 of the products, at factor 4 a quarter.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxportrait.ops.conv.direct import Padding, convolve
from jaxportrait.types import AnyArray


def convolve_upsampled(
    x: Float[Array, "n *d h w c"], kernel: Float[Array, "*kd 3 3 c o"], factor: int
) -> Float[Array, "n *d H W o"]:
    """Nearest upsampling of height and width, then a 3 x 3 (or kd x 3 x 3) convolution.

    Measured over the five up blocks of the renderer: 1041 -> 180 ms on two CPU cores.
    """
    return convolve_merged(x, merge_taps(kernel, factor), factor)


def merge_taps(kernel: AnyArray, factor: int) -> AnyArray:
    """The kernel of all phases over windows of two coarse pixels, which
    `convolve_merged` places."""
    distinct = phases(factor)[0].astype(kernel.dtype)
    windows = np.stack(
        [
            taps[start : start + 2]
            for taps, start in zip(distinct, _starts(factor), strict=True)
        ]
    )
    xp = kernel.__array_namespace__()
    merged = xp.einsum("prk,qsl,...klio->...rsipqo", windows, windows, kernel)
    return merged.reshape(*merged.shape[:-3], -1)


def convolve_merged(x: Array, merged: Any, factor: int) -> Array:
    """The convolution of an upsampled map, all phases at once at every place of their
    window."""
    starts, (_, places) = _starts(factor), phases(factor)
    height, width = x.shape[-3:-1]
    x = jnp.pad(x, ((0, 0),) * (x.ndim - 3) + ((1, 1), (1, 1), (0, 0)))
    y = convolve(
        x,
        merged,
        padding=[
            *[(taps // 2, taps // 2) for taps in merged.shape[:-4]],
            (0, 0),
            (0, 0),
        ],
    )
    y = y.reshape(*y.shape[:-1], len(starts), len(starts), -1)

    def phase(p: int, q: int) -> Array:
        return y[
            ..., starts[p] : starts[p] + height, starts[q] : starts[q] + width, p, q, :
        ]

    return interleave([[phase(p, q) for q in places] for p in places])


def phase_columns(kernel: AnyArray, factor: int) -> list[AnyArray]:
    """For each distinct phase across, the kernel (*kd, 3, 1 or 2, i, o) of all phases
    down."""
    distinct = phases(factor)[0].astype(kernel.dtype)
    xp = kernel.__array_namespace__()
    down = xp.einsum("prk,...klio->...rlipo", distinct, kernel)
    down = down.reshape(*down.shape[:-2], -1)
    used = [taps.any(axis=1) for taps in distinct]
    return [
        xp.einsum("sl,...rlio->...rsio", taps[cells], down)
        for taps, cells in zip(distinct, used, strict=True)
    ]


def phase_padding(factor: int) -> Padding:
    """Zeros before and after the columns, for each of `phase_columns`."""
    return [(1, 0), (0, 1)] if factor == 2 else [(1, 0), (0, 0), (0, 1)]


def interleave(
    phases: list[list[Float[Array, "n *d h w o"]]],
) -> Float[Array, "n *d H W o"]:
    """Fine pixels, row by row, put over their coarse one."""
    rows = [jnp.stack(row, axis=-2) for row in phases]
    fine = jnp.stack(rows, axis=-4)  # (n, *d, h, factor, w, factor, o)
    *batch, height, factor, width, _, out = fine.shape
    return fine.reshape(*batch, height * factor, width * factor, out)


def phases(factor: int) -> tuple[Float[np.ndarray, "phase cell tap"], list[int]]:
    """Which taps fall on the coarse pixels (before, own, next) in each distinct phase;
    the phase of each fine pixel.

    Of the fine pixels over one coarse pixel, the first sees the coarse pixel before it
    (one tap) and its own (two taps), the last its own (two) and the next (one), and
    those between see their own alone.
    """
    first, inner, last = (
        np.eye(3)[[0, 1, 1]].T,
        np.eye(3)[[1, 1, 1]].T,
        np.eye(3)[[1, 1, 2]].T,
    )
    distinct = [first, last] if factor == 2 else [first, inner, last]
    return np.stack(distinct), [0, *[1] * (factor - 2), len(distinct) - 1]


def _starts(factor: int) -> list[int]:
    """Where the window of each distinct phase begins: at the pixel before, or at the
    own."""
    return [0, 1] if factor == 2 else [0, 0, 1]
