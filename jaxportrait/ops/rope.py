"""Rotary position embeddings over neighbouring pairs (2i, 2i + 1)."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

THETA = 10_000.0


def rotary_table(
    length: int, head_dim: int, *, position_scale: float = 1.0
) -> Float[np.ndarray, "length half 2"]:
    """Cosine and sine of position * frequency, for `head_dim / 2` frequencies from 1
    down to 1 / 10 000.

    Args:
      length: positions 0 .. length - 1.
      head_dim: width of one attention head; even.
      position_scale: multiplies the frequencies, so that sequences of other rates line
        up in time.

    Source: Su et al., "RoFormer", 2021; MMAudio for the scaling.
    """
    powers = (
        THETA
        ** (np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)).astype(
            np.float64
        )
    ).astype(np.float32)
    frequencies = (np.float32(1.0) / powers) * np.float32(position_scale)
    angles = np.arange(length, dtype=np.float32)[:, None] * frequencies[None, :]
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)


def rotate(
    x: Float[Array, "n t heads dim"], table: Float[np.ndarray, "t half 2"]
) -> Float[Array, "n t heads dim"]:
    """Turn every pair (a, b) of a head by its angle: (a cos - b sin, a sin + b cos), in
    float32."""
    pairs = x.astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    first, second = pairs[..., 0], pairs[..., 1]
    cosine, sine = (
        jnp.asarray(table)[None, :, None, :, 0],
        jnp.asarray(table)[None, :, None, :, 1],
    )
    turned = jnp.stack(
        [first * cosine - second * sine, first * sine + second * cosine], axis=-1
    )
    return turned.reshape(x.shape).astype(x.dtype)
