"""Forms of 3-D convolutions.

On a CPU XLA's 3-D convolution is slow (7.1 s for the 7 x 7 x 7 mask convolution on two
cores) and its 2-D one is close to the best. On an NVIDIA GPU only 2-D ones have
channels last. So there the depth taps become a sum, input channels or output channels.
`benchmarks/conv.py` measures the forms.
"""

from collections.abc import Callable
from functools import partial, reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from jaxportrait.ops.conv.maps import as_written, convolve_map
from jaxportrait.ops.conv.padding import Padding

ALIGNMENT = 8
"""Channels of half precision that the matrix units of an NVIDIA GPU read at once."""


def convolve_volume(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """Convolve a volume, in the form that is fastest for its platform and shape."""
    cpu = FORMS_3D[cpu_form(x.shape, kernel.shape)]
    cuda = partial(aligned, FORMS_3D[cuda_form(kernel.shape)])
    return lax.platform_dependent(
        x,
        kernel,
        cpu=partial(cpu, padding=padding),
        cuda=partial(cuda, padding=padding),
        default=partial(as_written, padding=padding),
    )


def cpu_form(x_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> str:
    """Return the name of the fastest form on a CPU.

    The limits are from measurements over the renderer's shapes.
    """
    width, taps = x_shape[3], kernel_shape[1]
    inputs, outputs = kernel_shape[3:]
    if width <= 4:
        return "as_written"
    if taps > 3 or width <= 16:
        return "taps_as_outputs"
    if inputs <= 64 or inputs == outputs:
        return "taps_as_inputs"
    return "sum_of_taps"


def cuda_form(kernel_shape: tuple[int, ...]) -> str:
    """Return the name of the form for an NVIDIA GPU, from `benchmarks/kernels.py`.

    XLA passes 3-D convolutions to cuDNN channels first and unaligned, and 2-D ones
    channels last. Outputs are computed in tiles of 64 or more: where there are fewer,
    the other taps' outputs fill the tile.
    """
    return "taps_as_outputs" if kernel_shape[-1] < 64 else "taps_as_inputs"


def aligned(
    form: Callable[..., Array], x: Array, kernel: Array, *, padding: Padding
) -> Array:
    """Run a form with channels filled up by zeros to what matrix units read at once.

    XLA does so by itself, except for 3-D convolutions and for those into which it has
    fused a bias.
    """
    outputs = kernel.shape[-1]
    # How many zeros fill up inputs and outputs, after the last channel.
    missing = [(0, -size % ALIGNMENT) for size in kernel.shape[-2:]]
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + missing[:1])
    kernel = jnp.pad(kernel, [(0, 0)] * (kernel.ndim - 2) + missing)
    return form(x, kernel, padding=padding)[..., :outputs]


def sum_of_taps(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """Convolve a volume by a 2-D convolution for each depth tap, and add them up."""
    planes = _neighbouring_planes(x, kernel, padding)
    terms = []  # one for each depth tap
    for plane, taps in zip(planes, kernel, strict=True):
        terms.append(_convolve_planes(plane, taps, padding))
    return reduce(jnp.add, terms)


def taps_as_inputs(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """Convolve a volume by one 2-D convolution over neighbouring planes as channels."""
    stacked = jnp.concatenate(_neighbouring_planes(x, kernel, padding), axis=-1)
    _, rows, columns, _, outputs = kernel.shape
    # (d, h, w, i, o) -> (h, w, d * i, o)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(rows, columns, -1, outputs)
    return _convolve_planes(stacked, flat, padding)


def taps_as_outputs(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """Convolve a volume by one 2-D convolution to every depth tap's share.

    The shares of shifted planes are then added in float32.
    """
    taps, rows, columns, inputs, outputs = kernel.shape
    # (d, h, w, i, o) -> (h, w, i, d * o)
    flat = kernel.transpose(1, 2, 3, 0, 4)
    flat = flat.reshape(rows, columns, inputs, taps * outputs)
    shares = _convolve_planes(x, flat, padding)
    terms = []
    for tap, planes in enumerate(_neighbouring_planes(shares, kernel, padding)):
        share = planes[..., tap * outputs : (tap + 1) * outputs]
        terms.append(share.astype(jnp.float32))
    return reduce(jnp.add, terms).astype(x.dtype)


FORMS_3D: dict[str, Callable[..., Array]] = {
    "as_written": as_written,
    "sum_of_taps": sum_of_taps,
    "taps_as_inputs": taps_as_inputs,
    "taps_as_outputs": taps_as_outputs,
}


def _convolve_planes(x: Array, kernel: Array, padding: Padding) -> Array:
    """Convolve every depth plane by a 2-D kernel."""
    n, depth = x.shape[:2]
    planes = x.reshape(n * depth, *x.shape[2:])
    y = convolve_map(planes, kernel, padding=padding[1:])
    return y.reshape(n, depth, *y.shape[1:])


def _neighbouring_planes(x: Array, kernel: Array, padding: Padding) -> list[Array]:
    """Return the planes that each depth tap reads."""
    taps = kernel.shape[0]
    x = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0), (0, 0)))
    depth = x.shape[1] - taps + 1
    return [x[:, tap : tap + depth] for tap in range(taps)]
