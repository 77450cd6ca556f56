"""Convolutions whose kernels no longer change: what can be done to a kernel once is not
done every call."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ops.conv.direct import Padding, convolve
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
    phase_padding,
    phases,
)
from jaxportrait.types import AnyArray


def toom_cook_suits(dtype: DTypeLike) -> bool:
    """Whether this process's device gains by Toom-Cook forms, and the dtype bears their
    rounding."""
    return jax.default_backend() == "cpu" and dtype == jnp.float32


def prepare(
    kernel: Float[AnyArray, "*taps i o"], upsample: int, *, toom_cook: bool
) -> list[AnyArray]:
    """The kernels of `convolve_prepared`, which gives what `convolve` or
    `convolve_upsampled` give with `kernel`.

    Merging the taps of the renderer's up blocks beforehand spares 370 ms a frame on two
    CPU cores.

    Args:
      kernel: of stride 1 and one group; the result stays on the host if it is there.
      toom_cook: take that form where it pays.
    """
    toom_cook = toom_cook and _toom_cook_pays(kernel.shape)
    if not toom_cook:
        return [kernel if upsample == 1 else merge_taps(kernel, upsample)]
    if upsample == 1:
        return transform_kernel(kernel)
    return [
        rows
        for column in phase_columns(kernel, upsample)
        for rows in transform_kernel(column)
    ]


def convolve_prepared(
    x: Float[Array, "n *d h w c"],
    kernels: Sequence[Array],
    upsample: int,
    padding: Padding,
) -> Float[Array, "n *d H W o"]:
    """The convolution of which `prepare` made `kernels`.

    Args:
      padding: half the kernel before it was prepared, an axis.
    """
    if len(kernels) == 1:
        return (
            convolve(x, kernels[0], padding=padding)
            if upsample == 1
            else convolve_merged(x, kernels[0], upsample)
        )
    tiles = transform_rows(x, taps=2 * padding[-2][0] + 1)
    if upsample == 1:
        return convolve_tiles(tiles, kernels, [*padding[:-2], padding[-1]])
    _, places = phases(upsample)
    columns = []
    for phase, sides in enumerate(phase_padding(upsample)):
        y = convolve_tiles(
            tiles, kernels[TILE * phase : TILE * (phase + 1)], [*padding[:-2], sides]
        )
        columns.append(y.reshape(*y.shape[:-1], max(places) + 1, -1))
    return interleave([[columns[q][..., p, :] for q in places] for p in places])


def _toom_cook_pays(shape: tuple[int, ...]) -> bool:
    """Whether a kernel's products (inputs * outputs) outweigh the sums (inputs +
    outputs) that spare some of them.

    In 2-D 64 to 64 channels take 0.8 of the time, 32 to 64 and 64 to 12 take 1.2 and
    1.4. Wide 3-D kernels belong to maps of a few pixels. Those to one channel have a
    form of their own in `ops.conv`.
    """
    *taps, inputs, outputs = shape
    if len(taps) == 2:
        enough = inputs * outputs >= 32 * (inputs + outputs)
    else:
        enough = inputs >= 32 and inputs * outputs <= 2**15
    return taps in ([3, 3], [7, 7], [3, 3, 3], [7, 7, 7]) and outputs > 1 and enough
