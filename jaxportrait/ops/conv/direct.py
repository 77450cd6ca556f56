"""Lowerings of convolutions: the same function, in the form that is fastest on a
platform.

Every platform runs 1-D convolutions as matrix products, and accelerators 2-D ones as
written. On a CPU, XLA's 3-D convolution is slow (7.1 s for the 7x7x7 mask convolution
on two cores) while its 2-D one is close to the best, and on an NVIDIA GPU only 2-D ones
have channels last. So there the depth taps become a sum, input channels or output
channels. `benchmarks/conv.py` measures the forms.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Padding = Sequence[tuple[int, int]]
ALIGNMENT = 8
"""Channels of half precision that the matrix units of an NVIDIA GPU read at once."""
DIMENSIONS = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


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
      stride: along every axis; 1 in 3-D.
      padding: zeros before and after, an axis.
      groups: of channels, each convolved alone; 1 in 1-D and 3-D.

    Raises:
      ValueError: a stride or groups in 3-D, or groups in 1-D, which no network here
        has.
    """
    if (kernel.ndim == 5 and stride > 1) or (kernel.ndim != 4 and groups > 1):
        raise ValueError(
            f"a {kernel.ndim - 2}-D convolution of stride {stride} and {groups} groups: write its form"
        )
    if kernel.ndim == 3:
        return as_matrix_product(x, kernel, stride=stride, padding=padding)
    if kernel.ndim == 5:
        cpu = FORMS_3D[cpu_form(x.shape, kernel.shape)]
        cuda = partial(aligned, FORMS_3D[cuda_form(kernel.shape)])
        return lax.platform_dependent(
            x,
            kernel,
            cpu=partial(cpu, padding=padding),
            cuda=partial(cuda, padding=padding),
            default=partial(as_written, padding=padding),
        )
    if stride == groups == kernel.shape[-1] == 1:
        return taps_as_channels(x, kernel, padding=padding)
    if (
        groups == 1
        and kernel.shape[:2] == (stride, stride)
        and padding == [(0, 0), (0, 0)]
    ):
        return lax.platform_dependent(
            x,
            kernel,
            cpu=patches_as_matrix_product,
            default=partial(strided, stride=stride),
        )
    if stride == 1 and groups == x.shape[-1] == kernel.shape[-1]:
        return lax.platform_dependent(
            x,
            kernel,
            cpu=partial(as_shifted_products, padding=padding),
            default=partial(depthwise, padding=padding),
        )
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        dimension_numbers=DIMENSIONS[2],
        feature_group_count=groups,
    )


def half_padding(kernel: Float[Array, "*taps i o"]) -> Padding:
    """The padding of an odd kernel that keeps a map's size; none for even ones, whose
    taps are patches."""
    return [
        (taps // 2, taps // 2) if taps % 2 else (0, 0) for taps in kernel.shape[:-2]
    ]


def cpu_form(x_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> str:
    """The name of the fastest 3-D form on a CPU, from measurements over the renderer's
    shapes."""
    width, taps = x_shape[3], kernel_shape[1]
    if width <= 4:
        return "as_written"
    if taps > 3 or width <= 16:
        return "taps_as_outputs"
    return (
        "taps_as_inputs"
        if kernel_shape[3] <= 64 or kernel_shape[3] == kernel_shape[4]
        else "sum_of_taps"
    )


def cuda_form(kernel_shape: tuple[int, ...]) -> str:
    """The name of the 3-D form for an NVIDIA GPU, by what XLA makes of them
    (`benchmarks/kernels.py`).

    XLA gives cuDNN 3-D convolutions channels first and as many as they are, and 2-D
    ones channels last. Outputs are computed in tiles of 64 or more: fewer are filled up
    by those of the other taps.
    """
    return "taps_as_outputs" if kernel_shape[-1] < 64 else "taps_as_inputs"


def aligned(
    form: Callable[..., Array], x: Array, kernel: Array, *, padding: Padding
) -> Array:
    """A form, its channels filled up with zeros to what matrix units read at once.

    XLA does so by itself, but for 3-D convolutions and for those into which it has
    fused a bias.
    """
    inputs, outputs = (-size % ALIGNMENT for size in kernel.shape[-2:])
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, inputs)])
    filled = jnp.pad(kernel, [(0, 0)] * (kernel.ndim - 2) + [(0, inputs), (0, outputs)])
    return form(x, filled, padding=padding)[..., : kernel.shape[-1]]


def as_written(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """One convolution."""
    rank = kernel.ndim - 2
    return lax.conv_general_dilated(
        x, kernel, (1,) * rank, padding, dimension_numbers=DIMENSIONS[rank]
    )


def as_matrix_product(
    x: Array, kernel: Array, *, stride: int = 1, padding: Padding
) -> Array:
    """A 1-D convolution as one matrix product over the neighbouring steps stacked as
    channels.

    On a CPU its gradients are up to 1.4x faster, and 9x inside a loop, where XLA's
    convolutions are slow. cuDNN has no 1-D convolutions: XLA makes 2-D ones of them,
    which in bfloat16 not every version and card can run.
    """
    taps = kernel.shape[0]
    x = jnp.pad(x, ((0, 0), padding[0], (0, 0)))
    last = x.shape[1] - taps
    stacked = jnp.concatenate(
        [x[:, tap : tap + last + 1 : stride] for tap in range(taps)], axis=-1
    )
    return stacked @ kernel.reshape(-1, kernel.shape[-1])


def taps_as_channels(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """A 2-D convolution to one channel: each pixel's share in every tap by one matrix
    product, then shifted sums.

    One channel alone leaves most of a processor's vector unused: the occlusion map
    takes 75 ms as written on a CPU. The shares are float32, so that of halves only the
    sum is rounded.
    """
    rows, columns = kernel.shape[:2]
    shares = jnp.matmul(
        x, kernel.reshape(rows * columns, -1).T, preferred_element_type=jnp.float32
    )
    shares = jnp.pad(shares, ((0, 0), *padding, (0, 0)))
    height, width = shares.shape[1] - rows + 1, shares.shape[2] - columns + 1
    taps = enumerate(np.ndindex(rows, columns))
    total = reduce(
        jnp.add,
        (
            shares[:, top : top + height, left : left + width, tap]
            for tap, (top, left) in taps
        ),
    )
    return total[..., None].astype(x.dtype)


def strided(x: Array, kernel: Array, *, stride: int) -> Array:
    """A 2-D convolution of every `stride`-th position, without padding."""
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=DIMENSIONS[2]
    )


def patches_as_matrix_product(x: Array, kernel: Array) -> Array:
    """A 2-D convolution of patches that touch and do not overlap, as one matrix
    product."""
    (rows, columns), (n, height, width, c) = kernel.shape[:2], x.shape
    patches = x[:, : height // rows * rows, : width // columns * columns]
    patches = patches.reshape(
        n, height // rows, rows, width // columns, columns, c
    ).transpose(0, 1, 3, 2, 4, 5)
    return patches.reshape(*patches.shape[:3], -1) @ kernel.reshape(
        -1, kernel.shape[-1]
    )


def depthwise(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """A 2-D convolution of each channel alone."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (1, 1),
        padding,
        dimension_numbers=DIMENSIONS[2],
        feature_group_count=x.shape[-1],
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def as_shifted_products(x: Array, kernel: Array, padding: Padding) -> Array:
    """A depthwise 2-D convolution as a sum of shifted maps, each times its tap, in one
    pass over the output.

    Measured over the motion extractor's 7 x 7 convolutions on two CPU cores, where
    XLA's grouped convolution is slow: 210 -> 8 ms at 64 x 64 x 96, and with gradients
    739 -> 290 ms.
    """
    return _shifted_products(x, kernel, padding)


def _shifted_products(x: Array, kernel: Array, padding: Padding) -> Array:
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    height, width = (
        size - taps + 1
        for size, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    )
    places = np.ndindex(*kernel.shape[:2])
    terms = (
        x[:, row : row + height, left : left + width] * kernel[row, left, None, None]
        for row, left in places
    )
    return reduce(jnp.add, terms)


def _forward(
    x: Array, kernel: Array, padding: Padding
) -> tuple[Array, tuple[Array, Array]]:
    return _shifted_products(x, kernel, padding), (x, kernel)


def _backward(
    padding: Padding, kept: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
    """The map's gradient is the same sum with the kernel turned; the kernel's,
    diagonals of a product of rows."""
    x, kernel = kept
    turned = [
        (taps - 1 - low, taps - 1 - high)
        for taps, (low, high) in zip(kernel.shape[:2], padding, strict=True)
    ]
    to_x = _shifted_products(gradient, kernel[::-1, ::-1], turned)
    x = jnp.pad(x, ((0, 0), *padding, (0, 0))).transpose(3, 0, 1, 2)
    gradient = gradient.transpose(3, 0, 1, 2)
    height, width = gradient.shape[2:]
    seen = (
        np.arange(width)[None] + np.arange(kernel.shape[1])[:, None]
    )  # (tap, column) -> column that the tap reads
    products = (
        jnp.einsum("cnyu,cnyv->cuv", x[:, :, row : row + height], gradient)
        for row in range(kernel.shape[0])
    )
    rows = [
        product[:, seen, np.arange(width)[None]].sum(axis=-1).T for product in products
    ]
    return to_x, jnp.stack(rows)[:, :, None]


as_shifted_products.defvjp(_forward, _backward)


def sum_of_taps(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """A 2-D convolution a depth tap, added up."""
    planes = _neighbouring_planes(x, kernel, padding)
    terms = (
        _convolve_planes(plane, taps, padding)
        for plane, taps in zip(planes, kernel, strict=True)
    )
    return reduce(jnp.add, terms)


def taps_as_inputs(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """One 2-D convolution over the neighbouring planes stacked as channels."""
    stacked = jnp.concatenate(_neighbouring_planes(x, kernel, padding), axis=-1)
    flat = kernel.transpose(1, 2, 0, 3, 4).reshape(
        *kernel.shape[1:3], -1, kernel.shape[-1]
    )
    return _convolve_planes(stacked, flat, padding)


def taps_as_outputs(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """One 2-D convolution whose outputs hold every depth tap's share, then a sum in
    float32 of shifted planes."""
    taps, out = kernel.shape[0], kernel.shape[-1]
    flat = kernel.transpose(1, 2, 3, 0, 4).reshape(*kernel.shape[1:4], taps * out)
    planes = _neighbouring_planes(_convolve_planes(x, flat, padding), kernel, padding)
    shares = (
        plane[..., tap * out : (tap + 1) * out] for tap, plane in enumerate(planes)
    )
    return reduce(jnp.add, (share.astype(jnp.float32) for share in shares)).astype(
        x.dtype
    )


FORMS_3D = {
    form.__name__: form
    for form in (as_written, sum_of_taps, taps_as_inputs, taps_as_outputs)
}


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
