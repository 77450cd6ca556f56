"""Forms of 1-D and 2-D convolutions.

Every platform runs 1-D convolutions as matrix products. Accelerators run 2-D ones as
written. A CPU has four that are faster in another form: those to one channel, those of
patches, depthwise ones, and those of a few groups.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from jaxportrait.ops.conv.padding import Padding

LAYOUTS = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}
"""Axes of the map, the kernel and the result, by the number of spatial ones."""


def convolve_sequence(
    x: Array, kernel: Array, *, stride: int = 1, padding: Padding
) -> Array:
    """Convolve a sequence: one matrix product over neighbouring steps as channels.

    On a CPU its gradients are up to 1.4 times as fast as those of XLA's convolution,
    and 9 times inside a loop. cuDNN has no 1-D convolutions: XLA makes 2-D ones of
    them, which in bfloat16 not every version and card can run.

    Args:
      x: shape (n, t, i).
      kernel: shape (taps, i, o).
      stride: steps from one result to the next.
      padding: zeros before and after the sequence.
    """
    taps = kernel.shape[0]
    x = jnp.pad(x, ((0, 0), padding[0], (0, 0)))
    end = x.shape[1] - taps + 1
    neighbours = [x[:, tap : tap + end : stride] for tap in range(taps)]
    stacked = jnp.concatenate(neighbours, axis=-1)  # (n, t, taps * i)
    # A plain matrix product: XLA's CPU transposes what a gradient of three axes reads.
    rows = stacked.reshape(-1, stacked.shape[-1])
    product = rows @ kernel.reshape(-1, kernel.shape[-1])
    return product.reshape(*stacked.shape[:2], -1)


def convolve_map(
    x: Array, kernel: Array, *, stride: int = 1, padding: Padding, groups: int = 1
) -> Array:
    """Convolve a map, in the form that is fastest for its platform and shape.

    Args:
      x: shape (n, h, w, c).
      kernel: shape (rows, columns, c / groups, o).
      stride: pixels from one result to the next, along both axes.
      padding: zeros before and after height and width.
      groups: groups of channels, each convolved apart from the others.
    """
    inputs = x.shape[-1]
    outputs = kernel.shape[-1]
    is_unpadded = list(padding) == [(0, 0), (0, 0)]
    is_patches = is_unpadded and kernel.shape[:2] == (stride, stride)
    if stride == groups == outputs == 1:
        return taps_as_channels(x, kernel, padding=padding)
    if is_patches and groups == 1:
        return lax.platform_dependent(
            x,
            kernel,
            cpu=patches_as_matrix_product,
            default=partial(as_written, stride=stride, padding=padding),
        )
    # Depthwise: every channel is a group.
    if stride == 1 and groups == inputs == outputs:
        return lax.platform_dependent(
            x,
            kernel,
            cpu=partial(as_shifted_products, padding=padding),
            default=partial(as_written, padding=padding, groups=groups),
        )
    if groups > 1:
        return lax.platform_dependent(
            x,
            kernel,
            cpu=partial(group_by_group, stride=stride, padding=padding, groups=groups),
            default=partial(as_written, stride=stride, padding=padding, groups=groups),
        )
    return as_written(x, kernel, stride=stride, padding=padding)


def as_written(
    x: Array, kernel: Array, *, stride: int = 1, padding: Padding, groups: int = 1
) -> Array:
    """Convolve a map or a volume by XLA's own convolution."""
    rank = kernel.ndim - 2
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride,) * rank,
        padding=padding,
        dimension_numbers=LAYOUTS[rank],
        feature_group_count=groups,
    )


def group_by_group(
    x: Array, kernel: Array, *, stride: int, padding: Padding, groups: int
) -> Array:
    """Convolve a map of a few groups by a convolution for each.

    XLA's grouped convolution runs on one core of a CPU and uses no matrix product:
    HuBERT's positions (16 groups of 48 channels, 128 taps) take 178 ms there, 21 here.
    """
    inputs = jnp.split(x, groups, axis=-1)
    kernels = jnp.split(kernel, groups, axis=-1)
    results = []
    for group, weights in zip(inputs, kernels, strict=True):
        results.append(as_written(group, weights, stride=stride, padding=padding))
    return jnp.concatenate(results, axis=-1)


def taps_as_channels(x: Array, kernel: Array, *, padding: Padding) -> Array:
    """Convolve a map to one channel by one matrix product and shifted sums.

    The product gives each pixel's share in every tap. One output channel would leave
    most of a processor's vector unused: as written, the occlusion map takes 75 ms on a
    CPU. The shares are float32, so that of half precision only the sum is rounded.
    """
    rows, columns = kernel.shape[:2]
    weights = kernel.reshape(rows * columns, -1).T
    shares = jnp.matmul(x, weights, preferred_element_type=jnp.float32)
    shares = jnp.pad(shares, ((0, 0), *padding, (0, 0)))
    height = shares.shape[1] - rows + 1
    width = shares.shape[2] - columns + 1
    # Add what every tap contributes to a pixel.
    terms = []
    for tap, (top, left) in enumerate(np.ndindex(rows, columns)):
        bottom = top + height
        right = left + width
        terms.append(shares[:, top:bottom, left:right, tap])
    total = reduce(jnp.add, terms)
    return total[..., None].astype(x.dtype)


def patches_as_matrix_product(x: Array, kernel: Array) -> Array:
    """Convolve patches that touch and do not overlap, by one matrix product."""
    rows, columns, _, outputs = kernel.shape
    n, height, width, channels = x.shape
    down = height // rows
    across = width // columns
    # Rows and columns that fill no patch are left out.
    patches = x[:, : down * rows, : across * columns]
    patches = patches.reshape(n, down, rows, across, columns, channels)
    # (n, H, rows, W, columns, c) -> (n, H, W, rows * columns * c)
    patches = patches.transpose(0, 1, 3, 2, 4, 5)
    patches = patches.reshape(n, down, across, -1)
    return patches @ kernel.reshape(-1, outputs)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def as_shifted_products(x: Array, kernel: Array, padding: Padding) -> Array:
    """Convolve channel by channel: sum shifted maps, each multiplied by its tap.

    One pass over the output. Measured over the motion extractor's 7 x 7 convolutions on
    two CPU cores, where XLA's grouped convolution is slow: 210 -> 8 ms at 64 x 64 x 96,
    and 739 -> 290 ms with gradients.
    """
    return _sum_of_products(x, kernel, padding)


def _sum_of_products(x: Array, kernel: Array, padding: Padding) -> Array:
    rows, columns = kernel.shape[:2]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    height = x.shape[1] - rows + 1
    width = x.shape[2] - columns + 1
    terms = []
    for top, left in np.ndindex(rows, columns):
        bottom = top + height
        right = left + width
        shifted = x[:, top:bottom, left:right]
        terms.append(shifted * kernel[top, left, None, None])
    return reduce(jnp.add, terms)


def _forward(
    x: Array, kernel: Array, padding: Padding
) -> tuple[Array, tuple[Array, Array]]:
    return _sum_of_products(x, kernel, padding), (x, kernel)


def _backward(
    padding: Padding, residuals: tuple[Array, Array], gradient: Array
) -> tuple[Array, Array]:
    x, kernel = residuals
    # The gradient of the map is the same sum, with the kernel turned by half a circle.
    turned_padding = []
    for taps, (before, after) in zip(kernel.shape[:2], padding, strict=True):
        turned_padding.append((taps - 1 - before, taps - 1 - after))
    x_gradient = _sum_of_products(gradient, kernel[::-1, ::-1], turned_padding)
    return x_gradient, _kernel_gradient(x, kernel, padding, gradient)


def _kernel_gradient(
    x: Array, kernel: Array, padding: Padding, gradient: Array
) -> Array:
    """Return the gradient of the kernel: sums along diagonals of products of rows."""
    rows, columns = kernel.shape[:2]
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    # (n, h, w, c) -> (c, n, h, w)
    x = x.transpose(3, 0, 1, 2)
    gradient = gradient.transpose(3, 0, 1, 2)
    height, width = gradient.shape[2:]
    across = np.arange(width)[None]
    # (tap, column) -> the column that the tap reads
    sources = across + np.arange(columns)[:, None]
    gradients = []
    for top in range(rows):
        shifted = x[:, :, top : top + height]
        product = jnp.einsum("cnyu,cnyv->cuv", shifted, gradient)
        diagonals = product[:, sources, across]  # (c, tap, column)
        gradients.append(diagonals.sum(axis=-1).T)
    return jnp.stack(gradients)[:, :, None]


as_shifted_products.defvjp(_forward, _backward)
