"""Changing the size of feature maps and sequences."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def upsample_nearest(
    x: Float[Array, "*n h w c"], factor: int
) -> Float[Array, "*n H W c"]:
    """Repeat every pixel `factor` times along height and width."""
    rows = jnp.repeat(x, factor, axis=-3)
    return jnp.repeat(rows, factor, axis=-2)


def mean_pool(x: Float[Array, "*n h w c"]) -> Float[Array, "*n H W c"]:
    """Return the mean of every 2 x 2 pixels."""
    *batch, height, width, channels = x.shape
    # (..., h, w, c) -> (..., H, 2, W, 2, c)
    cells = x.reshape(*batch, height // 2, 2, width // 2, 2, channels)
    return cells.mean(axis=(-4, -2))


def max_pool(x: Float[Array, "*n h w c"]) -> Float[Array, "*n H W c"]:
    """Return the largest of every 2 x 2 pixels, without an odd last row or column."""
    *_, height, width, _ = x.shape
    # On a CPU the gradient of a reduction over windows takes hundreds of times as long
    # as that of two maxima.
    end = height // 2 * 2
    upper = x[..., 0:end:2, :, :]
    lower = x[..., 1:end:2, :, :]
    rows = jnp.maximum(upper, lower)
    end = width // 2 * 2
    left = rows[..., 0:end:2, :]
    right = rows[..., 1:end:2, :]
    return jnp.maximum(left, right)


def resize_linear(x: Float[Array, "n t c"], length: int) -> Float[Array, "n length c"]:
    """Interpolate a sequence linearly; its first and last elements stay in place.

    Args:
      x: sequences.
      length: elements of the result.

    Source: PyTorch's `interpolate` with `align_corners=True`.
    """
    last = x.shape[1] - 1
    # Where each element of the result lies in the input, as PyTorch rounds it.
    step = np.float32(last / max(length - 1, 1))
    positions = np.arange(length, dtype=np.float32) * step
    lower = np.minimum(positions.astype(np.int32), last)
    upper = np.minimum(lower + 1, last)
    weight = jnp.asarray(positions - lower, x.dtype)[None, :, None]
    return x[:, lower] * (1 - weight) + x[:, upper] * weight


def mean_pool_sequence(x: Float[Array, "n t c"], share: int) -> Float[Array, "n T c"]:
    """Return the mean of every `share` elements."""
    n, t, channels = x.shape
    # (n, t, c) -> (n, T, share, c)
    return x.reshape(n, t // share, share, channels).mean(axis=2)


def pixel_shuffle(x: Float[Array, "n h w c"], factor: int) -> Float[Array, "n H W C"]:
    """Turn channels into pixels.

    Channel `(o * factor + i) * factor + j` becomes channel o of pixel (i, j) of its
    cell.

    Args:
      x: maps of c = C * factor ** 2 channels.
      factor: how many times higher and wider the result is.

    Source: Shi et al., "Real-time single image and video super-resolution", 2016.
    """
    n, height, width, channels = x.shape
    outputs = channels // factor**2
    cells = x.reshape(n, height, width, outputs, factor, factor)
    # (n, h, w, o, i, j) -> (n, h, i, w, j, o)
    pixels = cells.transpose(0, 1, 4, 2, 5, 3)
    return pixels.reshape(n, height * factor, width * factor, outputs)
