"""Convolutions of fixed kernels: what can be done to a kernel once is done once."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ops.conv.direct import convolve
from jaxportrait.ops.conv.padding import Padding
from jaxportrait.ops.conv.toom_cook import (
    TILE,
    convolve_tiles,
    transform_kernel,
    transform_rows,
)
from jaxportrait.ops.conv.upsampled import (
    convolve_merged,
    interleave,
    merge_taps,
    phase_columns,
    phase_order,
    phase_padding,
)
from jaxportrait.types import AnyArray

# Kernels of the renderer for which the forms were measured.
TOOM_COOK_TAPS = ([3, 3], [7, 7], [3, 3, 3], [7, 7, 7])


def toom_cook_suits(dtype: DTypeLike) -> bool:
    """Return whether Toom-Cook forms are faster on this process's device.

    The dtype must also bear their rounding.
    """
    return jax.default_backend() == "cpu" and dtype == jnp.float32


def prepare(
    kernel: Float[AnyArray, "*taps i o"], upsample: int, *, toom_cook: bool
) -> list[AnyArray]:
    """Return the kernels that `convolve_prepared` reads in place of `kernel`.

    Merging the taps of the renderer's up blocks beforehand saves 370 ms a frame on two
    CPU cores.

    Args:
      kernel: a kernel of stride 1 and one group; the result stays on the host if it is
        there.
      upsample: how many times the input is repeated along height and width.
      toom_cook: use that form where it pays.
    """
    if toom_cook and _toom_cook_pays(kernel.shape):
        columns = [kernel] if upsample == 1 else phase_columns(kernel, upsample)
        return [rows for column in columns for rows in transform_kernel(column)]
    return [kernel if upsample == 1 else merge_taps(kernel, upsample)]


def convolve_prepared(
    x: Float[Array, "n *d h w c"],
    kernels: Sequence[Array],
    upsample: int,
    padding: Padding,
) -> Float[Array, "n *d H W o"]:
    """Convolve as `convolve` or `convolve_upsampled` would with the original kernel.

    Args:
      x: maps or volumes.
      kernels: result of `prepare`.
      upsample: the same as in `prepare`.
      padding: half the original kernel along each axis.
    """
    # Only Toom-Cook forms are several kernels.
    if len(kernels) > 1:
        return _convolve_tiled(x, kernels, upsample, padding)
    (kernel,) = kernels
    if upsample == 1:
        return convolve(x, kernel, padding=padding)
    return convolve_merged(x, kernel, upsample)


def _convolve_tiled(
    x: Array, kernels: Sequence[Array], upsample: int, padding: Padding
) -> Array:
    """Convolve by Toom-Cook forms, one for each phase across of an upsampled map."""
    *depth, (half, _), across = padding
    tiles = transform_rows(x, taps=2 * half + 1)
    if upsample == 1:
        return convolve_tiles(tiles, kernels, [*depth, across])
    # The phases down are outputs of one kernel, those across have a kernel each.
    order = phase_order(upsample)
    columns = []
    for phase, sides in enumerate(phase_padding(upsample)):
        rows = kernels[TILE * phase : TILE * (phase + 1)]
        y = convolve_tiles(tiles, rows, [*depth, sides])
        columns.append(y.reshape(*y.shape[:-1], max(order) + 1, -1))
    return interleave([[columns[q][..., p, :] for q in order] for p in order])


def _toom_cook_pays(shape: tuple[int, ...]) -> bool:
    """Return whether the products saved outweigh the sums added.

    There are inputs * outputs products and inputs + outputs sums. In 2-D, 64 to 64
    channels take 0.8 of the time, 32 to 64 and 64 to 12 take 1.2 and 1.4. Wide 3-D
    kernels belong to maps of a few pixels. Those to one channel have a form of their
    own in `maps`.
    """
    *taps, inputs, outputs = shape
    if taps not in TOOM_COOK_TAPS or outputs == 1:
        return False
    if len(taps) == 2:
        return inputs * outputs >= 32 * (inputs + outputs)
    return inputs >= 32 and inputs * outputs <= 2**15
