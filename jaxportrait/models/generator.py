"""G, the SPADE generator: warped features -> picture.

Source: LivePortrait (its SPADEDecoder); Park et al., "Semantic image synthesis with
spatially-adaptive normalization", 2019.
"""

from dataclasses import dataclass
from typing import Annotated, Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import NORM_EPSILON, Conv, SpectralConv
from jaxportrait.ops.resize import pixel_shuffle, upsample_nearest
from jaxportrait.ranges import Blocks, Range, Width, check_ranges

Upscale = Annotated[int, Range(1, 8)]

SLOPE = 0.2
"""Negative slope of every leaky ReLU, as published."""


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of the SPADE generator G: features -> picture.

    Attributes:
      features: channels of the input; the middle blocks are twice as wide.
      hidden: channels of the maps from which a SPADE norm computes scale and shift.
      output_channels: channels before the last convolution.
      upscale: factor of the last pixel shuffle; 1 leaves it out.
      middle_blocks: blocks of the features' size, before the two that double it.
    """

    features: Width
    hidden: Width = 128
    output_channels: Width = 64
    upscale: Upscale = 2
    middle_blocks: Blocks = 6

    def __post_init__(self) -> None:
        check_ranges(self)

    @classmethod
    def full(cls) -> Self:
        return cls(256)

    @classmethod
    def tiny(cls) -> Self:
        return cls(32, hidden=32, output_channels=16)


class Spade(nnx.Module):
    """An instance norm whose scale and shift are computed, by pixel, from the features.

    Args:
      upsample: how many times finer the normalised map is than the features.
    """

    def __init__(
        self,
        channels: int,
        config: GeneratorConfig,
        *,
        upsample: int,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        def conv(inputs: int, outputs: int, upsample: int = 1) -> Conv:
            return Conv(
                inputs, outputs, (3, 3), upsample=upsample, dtype=dtype, rngs=rngs
            )

        # Both convolutions read one hidden map, as published.
        self.shared = conv(config.features, config.hidden, upsample)
        self.gamma = conv(config.hidden, channels)
        self.beta = conv(config.hidden, channels)

    def __call__(
        self, x: Float[Array, "n H W c"], features: Float[Array, "n h w f"]
    ) -> Float[Array, "n H W c"]:
        hidden = nnx.relu(self.shared(features))
        return modulate(x, self.gamma(hidden), self.beta(hidden))


class SpadeBlock(nnx.Module):
    """Two normed and spectrally normed convolutions with a shortcut.

    Where the width changes, the shortcut has a norm and a convolution of its own.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        config: GeneratorConfig,
        *,
        upsample: int = 1,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        def spade(channels: int) -> Spade:
            return Spade(channels, config, upsample=upsample, dtype=dtype, rngs=rngs)

        middle = min(inputs, outputs)
        self.widens = inputs != outputs
        self.norm1 = spade(inputs)
        self.norm2 = spade(middle)
        self.conv1 = SpectralConv(inputs, middle, (3, 3), dtype=dtype, rngs=rngs)
        self.conv2 = SpectralConv(middle, outputs, (3, 3), dtype=dtype, rngs=rngs)
        if self.widens:
            self.shortcut_norm = spade(inputs)
            self.shortcut = SpectralConv(
                inputs, outputs, (1, 1), use_bias=False, dtype=dtype, rngs=rngs
            )

    def __call__(
        self, x: Float[Array, "n H W c"], features: Float[Array, "n h w f"]
    ) -> Float[Array, "n H W o"]:
        # The published shortcut has no activation.
        shortcut = self.shortcut(self.shortcut_norm(x, features)) if self.widens else x
        x = self.conv1(nnx.leaky_relu(self.norm1(x, features), SLOPE))
        x = self.conv2(nnx.leaky_relu(self.norm2(x, features), SLOPE))
        return shortcut + x


class Generator(nnx.Module):
    """Features -> picture, 4 * `upscale` times as high and wide, values from 0 to 1."""

    def __init__(
        self, config: GeneratorConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        features = config.features
        middle = 2 * features
        self.config = config
        self.stem = Conv(features, middle, (3, 3), dtype=dtype, rngs=rngs)
        self.middle = nnx.List(
            SpadeBlock(middle, middle, config, dtype=dtype, rngs=rngs)
            for _ in range(config.middle_blocks)
        )
        self.up1 = SpadeBlock(
            middle, features, config, upsample=2, dtype=dtype, rngs=rngs
        )
        self.up2 = SpadeBlock(
            features, config.output_channels, config, upsample=4, dtype=dtype, rngs=rngs
        )
        # RGB of every pixel that the shuffle makes of one.
        shuffled = 3 * config.upscale**2
        self.head = Conv(
            config.output_channels, shuffled, (3, 3), dtype=dtype, rngs=rngs
        )

    def __call__(self, features: Float[Array, "n h w f"]) -> Float[Array, "n H W 3"]:
        x = self.stem(features)
        for block in self.middle:
            x = block(x, features)
        # Twice the size at each of the two last blocks.
        x = self.up1(upsample_nearest(x, 2), features)
        x = self.up2(upsample_nearest(x, 2), features)
        # The picture is float32, as pixels need more steps than bfloat16 has.
        x = self.head(nnx.leaky_relu(x, SLOPE)).astype(jnp.float32)
        return nnx.sigmoid(pixel_shuffle(x, self.config.upscale))


def modulate(
    x: Float[Array, "n h w c"],
    gamma: Float[Array, "n h w c"],
    beta: Float[Array, "n h w c"],
) -> Float[Array, "n h w c"]:
    """Normalise `x`, then scale it by 1 + `gamma` and shift it by `beta`."""
    return instance_norm(x) * (1 + gamma) + beta


def instance_norm(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Bring each channel of each picture to mean 0 and (biased) variance 1.

    The statistics are computed in float32.
    """
    # Sums over a whole picture would overflow float16.
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(wide - mean).mean(axis=(1, 2), keepdims=True)
    scale = 1 / jnp.sqrt(variance + NORM_EPSILON)
    return ((wide - mean) * scale).astype(x.dtype)
