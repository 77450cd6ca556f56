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

from jaxportrait.models.attention import SelfAttention
from jaxportrait.models.blocks import Conv, check_heads, layer_norm
from jaxportrait.ranges import Blocks, Heads, Width, check_ranges

LONGEST_WAVELENGTH = 10_000.0
"""Longest wavelength of the positions in units of 2 pi, as in Whisper."""


@dataclass(frozen=True)
class WhisperConfig:
    """Sizes of Whisper's encoder: log-mel spectrogram -> audio features.

    Attributes:
      mel_bins: mel filters of the spectrogram.
      context: features of a block, which has twice as many frames.
      width: values of a feature.
      heads: attention heads.
      layers: blocks of the transformer.
    """

    mel_bins: Width
    context: Width
    width: Width
    heads: Heads
    layers: Blocks

    def __post_init__(self) -> None:
        check_ranges(self)
        check_heads(self.width, self.heads)
        # Positions are sines and cosines of two wavelengths or more.
        if self.width % 2 or self.width < 4:
            raise ValueError(f"width is {self.width}: it must be even, and 4 or more")

    @classmethod
    def full(cls) -> Self:
        # Whisper "tiny": blocks of 30 s, 1500 features each.
        return cls(80, 1500, 384, 6, 4)

    @classmethod
    def tiny(cls) -> Self:
        return cls(80, 1500, 32, 2, 1)


class EncoderBlock(nnx.Module):
    """Attention and an MLP, each behind a LayerNorm and added to its input."""

    def __init__(self, config: WhisperConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width = config.width
        self.attention_norm = layer_norm(width, dtype=dtype, rngs=rngs)
        self.mlp_norm = layer_norm(width, dtype=dtype, rngs=rngs)
        self.attention = SelfAttention(width, config.heads, dtype=dtype, rngs=rngs)
        self.expand = nnx.Linear(width, 4 * width, dtype=dtype, rngs=rngs)
        self.project = nnx.Linear(4 * width, width, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        x = x + self.attention(self.attention_norm(x))
        hidden = nnx.gelu(self.expand(self.mlp_norm(x)), approximate=False)
        return x + self.project(hidden)


class WhisperEncoder(nnx.Module):
    """A block of the log-mel spectrogram -> audio features.

    They are the output of the last layer, BEFORE Whisper's final norm.
    """

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
        """Compute the features of a block of 2 * context frames or fewer."""
        x = nnx.gelu(self.conv1(log_mel), approximate=False)
        # The stride of 2 turns 100 frames a second into 50 features.
        x = nnx.gelu(self.conv2(x), approximate=False)
        # The last block of a clip may be shorter than the table.
        x = x + self.positions[: x.shape[1]].astype(x.dtype)[None]
        for block in self.blocks:
            x = block(x)
        return x


def sinusoids(length: int, width: int) -> Float[np.ndarray, "length width"]:
    """Return positions as sines (first half) and cosines.

    Their wavelengths run from 2 pi to 10 000 * 2 pi.
    """
    # The first rate is 1, the last 1 / 10 000.
    half = width // 2
    step = -np.log(LONGEST_WAVELENGTH) / (half - 1)
    rates = np.exp(step * np.arange(half, dtype=np.float32)).astype(np.float32)
    angles = np.arange(length, dtype=np.float32)[:, None] * rates[None, :]
    table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    return table.astype(np.float32)
