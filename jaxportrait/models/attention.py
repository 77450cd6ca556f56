"""Attention of the encoders of sound, Whisper and HuBERT."""

from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ops.attention import attend
from jaxportrait.ops.dropout import KEEP, Keep


class SelfAttention(nnx.Module):
    """Multi-head attention of a sequence to itself; every item sees all others.

    `key` has no bias: softmax cancels it. Published files that hold one lose nothing.
    """

    def __init__(self, width: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        def linear(use_bias: bool = True) -> nnx.Linear:
            return nnx.Linear(width, width, use_bias=use_bias, dtype=dtype, rngs=rngs)

        self.heads = heads
        self.query = linear()
        self.key = linear(use_bias=False)
        self.value = linear()
        self.out = linear()

    def __call__(
        self, x: Float[Array, "n t c"], drop: Keep = KEEP
    ) -> Float[Array, "n t c"]:
        # (n, t, c) -> (n, t, heads, c / heads)
        def split(projected: Array) -> Array:
            return projected.reshape(*x.shape[:2], self.heads, -1)

        query = split(self.query(x))
        key = split(self.key(x))
        value = split(self.value(x))
        return self.out(attend(query, key, value, drop))
