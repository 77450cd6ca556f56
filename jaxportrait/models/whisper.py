"""A, the encoder of Whisper: log-mel spectrogram -> audio features at 50 Hz.

Source: Radford et al., "Robust speech recognition via large-scale weak supervision",
2022; openai-whisper.
"""

from dataclasses import dataclass
from typing import Self

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import NORM_EPSILON, Conv

LONGEST_WAVELENGTH = 10_000.0


@dataclass(frozen=True)
class WhisperConfig:
    """The encoder of Whisper: log-mel spectrogram -> audio features, half as many as
    its frames.

    Attributes:
      mel_bins: of the spectrogram.
      context: features a block; the block has twice as many frames.
    """

    mel_bins: int
    context: int
    width: int
    heads: int
    layers: int

    @classmethod
    def full(cls) -> Self:
        return cls(80, 1500, 384, 6, 4)

    @classmethod
    def tiny(cls) -> Self:
        return cls(80, 1500, 32, 2, 1)


class SelfAttention(nnx.Module):
    """Multi-head attention over one block; `key` has no bias."""

    def __init__(self, width: int, heads: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        def linear(use_bias: bool = True) -> nnx.Linear:
            return nnx.Linear(width, width, use_bias=use_bias, dtype=dtype, rngs=rngs)

        self.heads = heads
        self.query, self.key, self.value, self.out = (
            linear(),
            linear(use_bias=False),
            linear(),
            linear(),
        )

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        def split(projected: Array) -> Array:
            return projected.reshape(*x.shape[:2], self.heads, -1)

        query, key, value = (
            split(self.query(x)),
            split(self.key(x)),
            split(self.value(x)),
        )
        attended = nnx.dot_product_attention(query, key, value, dtype=x.dtype)
        return self.out(attended.reshape(x.shape))


class EncoderBlock(nnx.Module):
    """Attention and an MLP, each behind a LayerNorm and added to its input."""

    def __init__(self, config: WhisperConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width = config.width
        self.attention_norm, self.mlp_norm = (
            nnx.LayerNorm(
                width,
                epsilon=NORM_EPSILON,
                dtype=dtype,
                use_fast_variance=False,
                rngs=rngs,
            )
            for _ in range(2)
        )
        self.attention = SelfAttention(width, config.heads, dtype=dtype, rngs=rngs)
        self.expand = nnx.Linear(width, 4 * width, dtype=dtype, rngs=rngs)
        self.project = nnx.Linear(4 * width, width, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        x = x + self.attention(self.attention_norm(x))
        return x + self.project(
            nnx.gelu(self.expand(self.mlp_norm(x)), approximate=False)
        )


class WhisperEncoder(nnx.Module):
    """A block of the log-mel spectrogram -> features: the last block's output, BEFORE
    Whisper's final norm."""

    def __init__(
        self, config: WhisperConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        width = config.width
        self.config = config
        self.conv1 = Conv(config.mel_bins, width, (3,), dtype=dtype, rngs=rngs)
        self.conv2 = Conv(width, width, (3,), stride=2, dtype=dtype, rngs=rngs)
        # A leaf, not computed: published files hold the table rounded to half
        # precision.
        self.positions = nnx.Param(jnp.asarray(sinusoids(config.context, width)))
        self.blocks = nnx.List(
            EncoderBlock(config, dtype=dtype, rngs=rngs) for _ in range(config.layers)
        )

    def __call__(
        self, log_mel: Float[Array, "n frames mel_bins"]
    ) -> Float[Array, "n frames/2 width"]:
        """The features of a block of 2 * context frames or fewer."""
        x = nnx.gelu(self.conv1(log_mel), approximate=False)
        x = nnx.gelu(self.conv2(x), approximate=False)
        x = x + self.positions[: x.shape[1]].astype(x.dtype)[None]
        for block in self.blocks:
            x = block(x)
        return x


def sinusoids(length: int, width: int) -> Float[np.ndarray, "length width"]:
    """Positions as sines (first half) and cosines of wavelengths from 2 pi to 10 000 *
    2 pi."""
    rates = np.exp(
        -np.log(LONGEST_WAVELENGTH)
        / (width // 2 - 1)
        * np.arange(width // 2, dtype=np.float32)
    )
    angles = (
        np.arange(length, dtype=np.float32)[:, None] * rates.astype(np.float32)[None, :]
    )
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
