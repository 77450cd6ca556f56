"""Rotary position embeddings over neighbouring pairs (2i, 2i + 1).

Source: Su et al., "RoFormer", 2021.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

THETA = 10_000.0
"""Ratio of the highest to the lowest frequency, as in RoFormer."""


def rotary_table(
    length: int, head_dim: int, *, position_scale: float = 1.0
) -> Float[np.ndarray, "length half 2"]:
    """Return cosine and sine of position * frequency.

    There are `head_dim / 2` frequencies from 1 down to 1 / 10 000.

    Args:
      length: positions 0 .. length - 1.
      head_dim: width of one attention head; even.
      position_scale: factor of the frequencies, by which sequences of other rates line
        up in time.

    Source: MMAudio, for the scaling.
    """
    frequencies = rotary_frequencies(head_dim) * np.float32(position_scale)
    positions = np.arange(length, dtype=np.float32)
    angles = positions[:, None] * frequencies[None, :]
    table = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return table.astype(np.float32)


def rotary_frequencies(head_dim: int) -> Float[np.ndarray, " half"]:
    """Return the angles between two positions in a row, from 1 down to 1 / 10 000."""
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    # PyTorch's rounding: the power in float64, the rest in float32.
    periods = (THETA ** exponents.astype(np.float64)).astype(np.float32)
    return np.float32(1.0) / periods


def rotate(
    x: Float[Array, "n t heads dim"], table: Float[np.ndarray, "t half 2"]
) -> Float[Array, "n t heads dim"]:
    """Turn every pair (a, b) of a head by its angle, in float32.

    The result is (a cos - b sin, a sin + b cos).
    """
    pairs = x.astype(jnp.float32).reshape(*x.shape[:-1], -1, 2)
    first = pairs[..., 0]
    second = pairs[..., 1]
    angles = jnp.asarray(table)[None, :, None]  # (1, t, 1, half, 2)
    cosine = angles[..., 0]
    sine = angles[..., 1]
    turned_first = first * cosine - second * sine
    turned_second = first * sine + second * cosine
    turned = jnp.stack([turned_first, turned_second], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)
