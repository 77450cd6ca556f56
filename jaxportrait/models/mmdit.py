"""Blocks of a multimodal diffusion transformer (MM-DiT), over motion and audio tokens.

Source: Esser et al., "Scaling rectified flow transformers for high-resolution image
synthesis", 2024, in MMAudio's form with convolutions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import (
    NORM_EPSILON,
    BlockSizes,
    Conv,
    GatedConvMLP,
)
from jaxportrait.ops.attention import attend
from jaxportrait.ops.rope import rotate

RMS_EPSILON = float(np.finfo(np.float32).eps)
"""PyTorch's default for RMS norms in float32."""

xavier_uniform = nnx.initializers.xavier_uniform()
zeros = nnx.initializers.zeros


class Projection(NamedTuple):
    """Queries, keys and values of every head."""

    query: Float[Array, "n t heads dim"]
    key: Float[Array, "n t heads dim"]
    value: Float[Array, "n t heads dim"]


class QueryKeyValue(nnx.Module):
    """One projection to the queries, keys and values of every head.

    Queries and keys pass an RMS norm and are then rotated by their positions.
    """

    def __init__(self, width: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        def norm() -> nnx.RMSNorm:
            return nnx.RMSNorm(shape[-1], epsilon=RMS_EPSILON, dtype=dtype, rngs=rngs)

        # Drawn as PyTorch's flat matrix: Xavier's bound depends on the shape.
        shape = (3, heads, width // heads)
        kernel = xavier_uniform(rngs.params(), (width, 3 * width))
        self.kernel = nnx.Param(kernel.reshape(width, *shape))
        self.bias = nnx.Param(jnp.zeros(shape))
        self.query_norm = norm()
        self.key_norm = norm()
        self.dtype = dtype

    def __call__(
        self, x: Float[Array, "n t c"], rotary: Float[np.ndarray, "t half 2"]
    ) -> Projection:
        return self.finish(self.product(x), rotary)

    def product(self, x: Float[Array, "n t c"]) -> Float[Array, "n t 3*heads*dim"]:
        """Compute queries, keys and values before their norms and rotations."""
        # A plain matrix product: a CPU copies the kernel for one over several axes.
        kernel = self.kernel[...].astype(self.dtype).reshape(x.shape[-1], -1)
        rows = x.astype(self.dtype).reshape(-1, x.shape[-1])
        bias = self.bias[...].astype(self.dtype).reshape(1, -1)
        return (rows @ kernel + bias).reshape(*x.shape[:2], -1)

    def finish(
        self, y: Float[Array, "n t 3*heads*dim"], rotary: Float[np.ndarray, "t half 2"]
    ) -> Projection:
        """Part the heads, and normalise and rotate queries and keys."""
        y = y.reshape(*y.shape[:2], *self.bias.shape)
        query, key, value = (y[:, :, index] for index in range(3))
        query = rotate(self.query_norm(query), rotary)
        key = rotate(self.key_norm(key), rotary)
        return Projection(query, key, value)


class Modulation(nnx.Module):
    """adaLN: a condition -> `count` vectors (shift, scale, gate, ...) over channels."""

    def __init__(self, width: int, count: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.count = count
        self.linear = nnx.Linear(
            width, count * width, kernel_init=zeros, dtype=dtype, rngs=rngs
        )

    def __call__(self, condition: Float[Array, "n t c"]) -> list[Array]:
        return jnp.split(self.linear(nnx.silu(condition)), self.count, axis=-1)


class Block(nnx.Module):
    """One stream's half of a joint block, or a whole fused block.

    Args:
      ends: the stream ends at the attention, so there is nothing to finish; the last
        audio half only lends its keys and values.
    """

    def __init__(
        self,
        sizes: BlockSizes,
        *,
        ends: bool = False,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        width, hidden, heads = sizes
        # Shift and scale before the attention; a gate after it, and three for the MLP.
        vectors = 2 if ends else 6
        self.modulation = Modulation(width, vectors, dtype=dtype, rngs=rngs)
        self.qkv = QueryKeyValue(width, heads, dtype=dtype, rngs=rngs)
        if not ends:
            self.out = Conv(width, width, (3,), dtype=dtype, rngs=rngs)
            self.mlp = GatedConvMLP(width, hidden, 3, dtype=dtype, rngs=rngs)

    def project(
        self,
        x: Float[Array, "n t c"],
        condition: Float[Array, "n s c"],
        rotary: Float[np.ndarray, "t half 2"],
    ) -> tuple[Projection, list[Array]]:
        """Return queries, keys and values, and the vectors that `finish` reads."""
        # The first two belong to the norm before the attention.
        shift, scale, *vectors = self.modulation(condition)
        return self.qkv(modulate(x, shift, scale), rotary), vectors

    def finish(
        self,
        x: Float[Array, "n t c"],
        attention: Float[Array, "n t c"],
        vectors: Sequence[Array],
    ) -> Float[Array, "n t c"]:
        """Add the attention's output and that of the MLP, each behind its gate."""
        gate, mlp_shift, mlp_scale, mlp_gate = vectors
        x = x + self.out(attention) * gate
        return x + self.mlp(modulate(x, mlp_shift, mlp_scale)) * mlp_gate

    def __call__(
        self,
        x: Float[Array, "n t c"],
        condition: Float[Array, "n s c"],
        rotary: Float[np.ndarray, "t half 2"],
    ) -> Float[Array, "n t c"]:
        projection, vectors = self.project(x, condition, rotary)
        return self.finish(x, attend(*projection), vectors)


class JointBlock(nnx.Module):
    """A motion and an audio half that attend over both streams' tokens, motion first.

    Args:
      last: the audio stream ends here.
    """

    def __init__(
        self, sizes: BlockSizes, *, last: bool, dtype: DTypeLike, rngs: nnx.Rngs
    ):
        self.last = last
        self.motion = Block(sizes, dtype=dtype, rngs=rngs)
        self.audio = Block(sizes, ends=last, dtype=dtype, rngs=rngs)

    def __call__(
        self,
        motion: Float[Array, "n t c"],
        audio: Float[Array, "n s c"],
        motion_condition: Float[Array, "n t c"],
        audio_condition: Float[Array, "n 1 c"],
        motion_rotary: Float[np.ndarray, "t half 2"],
        audio_rotary: Float[np.ndarray, "s half 2"],
    ) -> tuple[Array, Array]:
        # Each stream has its own weights up to the attention.
        motion_projection, motion_vectors = self.motion.project(
            motion, motion_condition, motion_rotary
        )
        audio_projection, audio_vectors = self.audio.project(
            audio, audio_condition, audio_rotary
        )
        pairs = zip(motion_projection, audio_projection, strict=True)
        # Motion tokens first, (n, t + s, heads, dim)
        joint = Projection(*(jnp.concatenate(pair, axis=1) for pair in pairs))
        attention = attend(*joint)
        # Back to the two streams.
        frames = motion.shape[1]
        motion = self.motion.finish(motion, attention[:, :frames], motion_vectors)
        if not self.last:
            audio = self.audio.finish(audio, attention[:, frames:], audio_vectors)
        return motion, audio


def modulate(
    x: Float[Array, "n t c"], shift: Float[Array, "n s c"], scale: Float[Array, "n s c"]
) -> Float[Array, "n t c"]:
    """Apply a LayerNorm without weights, then `* (1 + scale) + shift`.

    Args:
      x: tokens.
      shift, scale: s = t, or s = 1 for all tokens.
    """
    # Statistics are float32 whatever the dtype.
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=-1, keepdims=True)
    variance = jnp.square(wide - mean).mean(axis=-1, keepdims=True)
    normed = ((wide - mean) / jnp.sqrt(variance + NORM_EPSILON)).astype(x.dtype)
    return normed * (1 + scale) + shift
