"""Blocks of a transformer whose branches are modulated by a vector (FiLM), and whose
queries and keys are rotated before they are projected.

Source: Tseng et al., "EDGE: Editable dance generation from music", 2022.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import BlockSizes, layer_norm, linear
from jaxportrait.ops.attention import attend
from jaxportrait.ops.rope import rotate


class Memory(NamedTuple):
    """Keys and values that an attention reads."""

    key: Float[Array, "n s heads dim"]
    value: Float[Array, "n s heads dim"]


class RotaryAttention(nnx.Module):
    """Attention whose queries and keys are projected from rotated tokens.

    The rotation spans the whole width, before the heads part. Values are projected from
    the tokens as they are.
    """

    def __init__(self, width: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.width = width
        self.heads = heads
        # Queries, keys and values side by side, in this order.
        self.qkv = linear(width, 3 * width, dtype=dtype, rngs=rngs)
        self.out = linear(width, width, dtype=dtype, rngs=rngs)

    def query(
        self, x: Float[Array, "n t c"], rotary: Float[np.ndarray, "t half 2"]
    ) -> Float[Array, "n t heads dim"]:
        return self._project(turn(x, rotary), 0)

    def memory(
        self, x: Float[Array, "n s c"], rotary: Float[np.ndarray, "s half 2"]
    ) -> Memory:
        """Return the keys and values of tokens."""
        return Memory(self._project(turn(x, rotary), 1), self._project(x, 2))

    def attend(
        self, query: Float[Array, "n t heads dim"], memory: Memory
    ) -> Float[Array, "n t c"]:
        return self.out(attend(query, memory.key, memory.value))

    def __call__(
        self, x: Float[Array, "n t c"], rotary: Float[np.ndarray, "t half 2"]
    ) -> Float[Array, "n t c"]:
        return self.attend(self.query(x, rotary), self.memory(x, rotary))

    def _project(
        self, x: Float[Array, "n t c"], third: int
    ) -> Float[Array, "n t heads dim"]:
        """Return one third of the joint projection."""
        # Queries are the first third, then keys, then values.
        columns = slice(third * self.width, (third + 1) * self.width)
        kernel = self.qkv.kernel[...][:, columns].astype(x.dtype)
        assert self.qkv.bias is not None
        bias = self.qkv.bias[...][columns].astype(x.dtype)
        projected = x @ kernel + bias[None, None]
        return projected.reshape(*x.shape[:2], self.heads, -1)


class MLP(nnx.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, width: int, hidden: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.expand = linear(width, hidden, dtype=dtype, rngs=rngs)
        self.project = linear(hidden, width, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        return self.project(nnx.gelu(self.expand(x), approximate=False))


class EncoderBlock(nnx.Module):
    """Attention and an MLP over frames of the condition, each behind a norm."""

    def __init__(self, sizes: BlockSizes, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width, hidden, heads = sizes
        self.attention = RotaryAttention(width, heads, dtype=dtype, rngs=rngs)
        self.mlp = MLP(width, hidden, dtype=dtype, rngs=rngs)
        self.attention_norm = layer_norm(width, dtype=dtype, rngs=rngs)
        self.mlp_norm = layer_norm(width, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Float[Array, "n t c"], rotary: Float[np.ndarray, "t half 2"]
    ) -> Float[Array, "n t c"]:
        x = x + self.attention(self.attention_norm(x), rotary)
        return x + self.mlp(self.mlp_norm(x))


class FiLM(nnx.Module):
    """A vector of the step -> the factor and the offset of a branch."""

    def __init__(self, width: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.linear = linear(width, 2 * width, dtype=dtype, rngs=rngs)

    def __call__(
        self, y: Float[Array, "n t c"], step: Float[Array, "n c"]
    ) -> Float[Array, "n t c"]:
        # The factor counts from 1, so that a fresh layer changes little.
        factor, offset = jnp.split(self.linear(step), 2, axis=-1)
        return (1 + factor[:, None]) * y + offset[:, None]


class DecoderBlock(nnx.Module):
    """Attention to motion, attention to the condition and an MLP, each behind a norm
    and modulated by the step."""

    def __init__(self, sizes: BlockSizes, *, dtype: DTypeLike, rngs: nnx.Rngs):
        def attention() -> RotaryAttention:
            return RotaryAttention(width, heads, dtype=dtype, rngs=rngs)

        def norm() -> nnx.LayerNorm:
            return layer_norm(width, dtype=dtype, rngs=rngs)

        def film() -> FiLM:
            return FiLM(width, dtype=dtype, rngs=rngs)

        width, hidden, heads = sizes
        self.attention = attention()
        self.cross_attention = attention()
        self.mlp = MLP(width, hidden, dtype=dtype, rngs=rngs)
        self.attention_norm = norm()
        self.cross_norm = norm()
        self.mlp_norm = norm()
        self.attention_film = film()
        self.cross_film = film()
        self.mlp_film = film()

    def __call__(
        self,
        x: Float[Array, "n t c"],
        step: Float[Array, "n c"],
        memory: Memory,
        rotary: Float[np.ndarray, "t half 2"],
    ) -> Float[Array, "n t c"]:
        y = self.attention(self.attention_norm(x), rotary)
        x = x + self.attention_film(y, step)
        # Keys and values of the memory are the same for every frame of motion.
        query = self.cross_attention.query(self.cross_norm(x), rotary)
        y = self.cross_attention.attend(query, memory)
        x = x + self.cross_film(y, step)
        y = self.mlp(self.mlp_norm(x))
        return x + self.mlp_film(y, step)


def turn(
    x: Float[Array, "n t c"], rotary: Float[np.ndarray, "t half 2"]
) -> Float[Array, "n t c"]:
    """Rotate tokens over their whole width by their positions."""
    # A single head as wide as the token.
    return rotate(x[:, :, None], rotary)[:, :, 0]
