"""Changing the size of feature maps and sequences."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def upsample_nearest(
    x: Float[Array, "*n h w c"], factor: int
) -> Float[Array, "*n H W c"]:
    """Repeat every pixel `factor` times along height and width."""
    return jnp.repeat(jnp.repeat(x, factor, axis=-3), factor, axis=-2)


def mean_pool(x: Float[Array, "*n h w c"]) -> Float[Array, "*n H W c"]:
    """The mean of every 2 x 2 pixels."""
    *batch, height, width, channels = x.shape
    return x.reshape(*batch, height // 2, 2, width // 2, 2, channels).mean(
        axis=(-4, -2)
    )


def max_pool(x: Float[Array, "*n h w c"]) -> Float[Array, "*n H W c"]:
    """The largest of every 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (size // 2 * 2 for size in x.shape[-3:-1])
    # The gradient of a reduction over windows takes hundreds of times as long on a CPU.
    x = jnp.maximum(x[..., 0:height:2, :, :], x[..., 1:height:2, :, :])
    return jnp.maximum(x[..., 0:width:2, :], x[..., 1:width:2, :])


def resize_linear(x: Float[Array, "n t c"], length: int) -> Float[Array, "n length c"]:
    """Interpolate a sequence linearly, first and last elements staying where they are
    (aligned corners)."""
    positions = np.arange(length, dtype=np.float32) * np.float32(
        (x.shape[1] - 1) / max(length - 1, 1)
    )
    lower = np.minimum(positions.astype(np.int32), x.shape[1] - 1)
    upper = np.minimum(lower + 1, x.shape[1] - 1)
    weight = jnp.asarray(positions - lower, x.dtype)[None, :, None]
    return x[:, lower] * (1 - weight) + x[:, upper] * weight


def pixel_shuffle(x: Float[Array, "n h w c"], factor: int) -> Float[Array, "n H W C"]:
    """Channels -> pixels: channel `(o * factor + i) * factor + j` becomes channel o of
    pixel (i, j) of its cell.

    Source: Shi et al., "Real-time single image and video super-resolution", 2016.
    """
    n, height, width, channels = x.shape
    out = channels // factor**2
    x = x.reshape(n, height, width, out, factor, factor)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(
        n, height * factor, width * factor, out
    )
