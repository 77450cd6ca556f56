"""Lowerings of convolutions: the same function, in the form that is fastest on a platform.

Accelerators run convolutions as written. On a CPU, XLA's 3-D convolution is slow (7.1 s for the 7x7x7 mask
convolution on two cores) while its 2-D one is close to the best, so there the depth taps become a sum, input
channels or output channels. `benchmarks/conv.py` measures the forms.
"""

from collections.abc import Sequence
from functools import partial, reduce

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Padding = Sequence[tuple[int, int]]
DIMENSIONS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


def convolve(
    x: Float[Array, "n *space c"],
    kernel: Float[Array, "*taps i o"],
    *,
    stride: int = 1,
    padding: Padding,
    groups: int = 1,
) -> Float[Array, "n *Space o"]:
    """A 1-, 2- or 3-D cross-correlation, channels last.

    Args:
      x: input maps.
      kernel: i = c / groups.
      stride: along every axis; 3-D convolutions have 1.
      padding: zeros before and after, an axis.
      groups: of channels, each convolved alone; 3-D convolutions have 1.
    """
    if kernel.ndim == 5:
        cpu = CPU_FORMS[cpu_form(x.shape, kernel.shape)]
        return lax.platform_dependent(
            x, kernel, cpu=partial(cpu, padding=padding), default=partial(as_written, padding=padding)
        )
    if kernel.ndim == 3 and stride == groups == 1:
        return lax.platform_dependent(
            x, kernel, cpu=partial(as_matrix_product, padding=padding), default=partial(as_written, padding=padding)
        )
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride,) * (kernel.ndim - 2),
        padding=padding,
        dimension_numbers=DIMENSIONS[kernel.ndim - 2],
        feature_group_count=groups,
    )


def half_padding(kernel: Float[Array, "*taps i o"]) -> Padding:
    """The padding of an odd kernel that keeps a map's size; none for even ones, whose taps are patches."""
    return [(taps // 2, taps // 2) if taps % 2 else (0, 0) for taps in kernel.shape[:-2]]


def cpu_form(x_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> str:
    """The name of the fastest 3-D form on a CPU, from measurements over the renderer's shapes."""
    width, taps = x_shape[3], kernel_shape[1]
    if width <= 4:
        return "as_written"
    if taps > 3 or width <= 16:
        return "taps_as_outputs"
    return "taps_as_inputs" if kernel_shape[3] <= 64 or kernel_shape[3] == kernel_shape[4] else "sum_of_taps"


def as_written(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """One convolution."""
    rank = kernel.ndim - 2
    return lax.conv_general_dilated(x, kernel, (1,) * rank, padding, dimension_numbers=DIMENSIONS[rank])


def as_matrix_product(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """A 1-D convolution as one matrix product over the neighbouring steps stacked as channels.

    On a CPU its gradients are up to 1.4x faster, and 9x inside a loop, where XLA's convolutions are slow.
    """
    taps = kernel.shape[0]
    x = jnp.pad(x, ((0, 0), padding[0], (0, 0)))
    steps = x.shape[1] - taps + 1
    stacked = jnp.concatenate([x[:, tap : tap + steps] for tap in range(taps)], axis=-1)
    return stacked @ kernel.reshape(-1, kernel.shape[-1])


def sum_of_taps(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """A 2-D convolution a depth tap, added up."""
    planes = _neighbouring_planes(x, kernel, padding)
    terms = (_convolve_planes(plane, taps, padding) for plane, taps in zip(planes, kernel, strict=True))
    return reduce(jnp.add, terms)


def taps_as_inputs(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """One 2-D convolution over the neighbouring planes stacked as channels."""
    stacked = jnp.concatenate(_neighbouring_planes(x, kernel, padding), axis=-1)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    return _convolve_planes(stacked, flat, padding)


def taps_as_outputs(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """One 2-D convolution whose outputs hold every depth tap's share, then a sum of shifted planes."""
    taps, out = kernel.shape[0], kernel.shape[-1]
    flat = kernel.transpose(1, 2, 3, 0, 4).reshape(*kernel.shape[1:4], taps * out)
    planes = _neighbouring_planes(_convolve_planes(x, flat, padding), kernel, padding)
    return reduce(jnp.add, (plane[..., tap * out : (tap + 1) * out] for tap, plane in enumerate(planes)))


CPU_FORMS = {form.__name__: form for form in (as_written, sum_of_taps, taps_as_inputs, taps_as_outputs)}


def convolve_upsampled(
    x: Float[Array, "n *d h w c"], kernel: Float[Array, "*kd 3 3 c o"], factor: int
) -> Float[Array, "n *d H W o"]:
    """Nearest upsampling of height and width, then a 3 x 3 (or kd x 3 x 3) convolution, as one exact rewrite.

    Neighbouring fine pixels that repeat one coarse pixel let kernel taps merge: every output phase is a
    convolution of two taps an axis over the coarse map, or one. At factor 2 that is 4/9 of the products, at
    factor 4 a quarter. Measured over the five up blocks of the renderer: 1041 -> 180 ms on two CPU cores.
    """
    merged, starts, phases = _merge_taps(kernel, factor)
    height, width, out = *x.shape[-3:-1], kernel.shape[-1]
    margin = ((1, 1), (1, 1), (0, 0))
    x = jnp.pad(x, ((0, 0),) * (x.ndim - 3) + margin)
    y = convolve(x, merged, padding=[*half_padding(kernel)[:-2], (0, 0), (0, 0)])
    y = y.reshape(*y.shape[:-1], len(starts), len(starts), out)

    def phase(row: int, column: int) -> Array:
        p, q = phases[row], phases[column]
        top, left = starts[p], starts[q]
        return y[..., top : top + height, left : left + width, p, q, :]

    rows = [jnp.stack([phase(i, j) for j in range(factor)], axis=-2) for i in range(factor)]
    fine = jnp.stack(rows, axis=-4)  # (n, *d, h, factor, w, factor, o)
    return fine.reshape(*x.shape[:-3], height * factor, width * factor, out)


def _merge_taps(kernel: Array, factor: int) -> tuple[Array, list[int], list[int]]:
    """The kernel of all distinct phases, where each phase's window starts, and the phase of each fine pixel.

    Of the fine pixels over one coarse pixel, the first sees the coarse pixel before it (one tap) and its own
    (two taps), the last its own (two) and the next (one), and those between see their own alone.
    """
    first, inner, last = [[1, 0, 0], [0, 1, 1]], [[0, 0, 0], [1, 1, 1]], [[1, 1, 0], [0, 0, 1]]
    distinct = [first, last] if factor == 2 else [first, inner, last]
    starts = [0, 1] if factor == 2 else [0, 0, 1]
    phases = [0, *[1] * (factor - 2), len(distinct) - 1]
    taps = jnp.asarray(np.array(distinct), kernel.dtype)  # (phase, window cell, tap)
    merged = jnp.einsum("prk,qsl,...klio->...rsipqo", taps, taps, kernel)
    return merged.reshape(*merged.shape[:-3], -1), starts, phases


def _convolve_planes(x: Array, kernel: Array, padding: Padding) -> Array:
    """A 2-D convolution of every depth plane."""
    n, depth = x.shape[:2]
    y = convolve(x.reshape(n * depth, *x.shape[2:]), kernel, padding=padding[1:])
    return y.reshape(n, depth, *y.shape[1:])


def _neighbouring_planes(x: Array, kernel: Array, padding: Padding) -> list[Array]:
    """For each depth tap, the planes that it reads."""
    before, after = padding[0]
    depth = x.shape[1] + before + after - kernel.shape[0] + 1
    x = jnp.pad(x, ((0, 0), (before, after), (0, 0), (0, 0), (0, 0)))
    return [x[:, tap : tap + depth] for tap in range(kernel.shape[0])]
