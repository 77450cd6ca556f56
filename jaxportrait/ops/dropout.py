"""Dropout in training: values, weights of attention and whole blocks left out at random.

Draws belong to the rows of a batch. So a row is the same whatever rows are beside it,
on any number of devices.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

RESOLUTION = 1 << 16
"""Rates are rounded to multiples of its inverse: 16 bits are drawn for a value, and 32
would take twice as long."""


class Keep:
    """The form of inference: nothing is left out."""

    def __call__(self, x: Float[Array, "n *d"]) -> Float[Array, "n *d"]:
        """Return values with some of them 0, and the others larger by as much."""
        return x

    def block(
        self, x: Float[Array, "n *d"], y: Float[Array, "n *d"]
    ) -> Float[Array, "n *d"]:
        """Return a block's output y, or its input x where a row leaves the block out."""
        return y


KEEP = Keep()


class Dropout(Keep):
    """Random draws that differ from call to call.

    Calls are counted while a program is traced, and so are part of it.

    Args:
      keys: a key for each row.
      rate: share of the values that become 0.
      block_rate: share of the blocks that are left out.
    """

    def __init__(self, keys: PRNGKeyArray, rate: float, block_rate: float = 0.0):
        self.keys = keys
        self.rate = rate
        self.block_rate = block_rate
        self._calls = 0

    def __call__(self, x: Float[Array, "n *d"]) -> Float[Array, "n *d"]:
        if self.rate == 0:
            return x
        stays = self._draw(self.rate, x.shape[1:])
        return jnp.where(stays, x / (1 - self.rate), jnp.zeros_like(x))

    def block(
        self, x: Float[Array, "n *d"], y: Float[Array, "n *d"]
    ) -> Float[Array, "n *d"]:
        if self.block_rate == 0:
            return y
        # One draw a row, against all further axes.
        stays = self._draw(self.block_rate, (1,) * (x.ndim - 1))
        return jnp.where(stays, y, x)

    def _draw(self, rate: float, shape: tuple[int, ...]) -> Bool[Array, "n *d"]:
        """Return whether values of rows of this shape stay."""
        call = self._calls
        self._calls += 1

        def draw_row(key: PRNGKeyArray) -> Array:
            call_key = jax.random.fold_in(key, call)
            return jax.random.bits(call_key, shape, jnp.uint16)

        # A rate next to 1 still leaves one value of 16 bits that stays.
        limit = min(round(rate * RESOLUTION), RESOLUTION - 1)
        return jax.vmap(draw_row)(self.keys) >= limit
