"""G, the SPADE generator: warped features -> picture.

Source: LivePortrait (its SPADEDecoder); Park et al., "Semantic image synthesis with
spatially-adaptive normalization", 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import NORM_EPSILON, Conv, SpectralConv, join
from jaxportrait.ops.resize import pixel_shuffle, upsample_nearest

SLOPE = 0.2


@dataclass(frozen=True)
class GeneratorConfig:
    """SPADE generator G: features -> image.

    Attributes:
      features: channels of the input; the middle is twice as wide.
      hidden: channels of the maps from which a SPADE norm reads its scale and shift.
      output_channels: before the last convolution.
      upscale: of the last pixel shuffle; 1 leaves it out.
      middle_blocks: of the features' own size, before the two that double it.
    """

    features: int
    hidden: int = 128
    output_channels: int = 64
    upscale: int = 2
    middle_blocks: int = 6

    @classmethod
    def full(cls) -> Self:
        return cls(256)

    @classmethod
    def tiny(cls) -> Self:
        return cls(32, hidden=32, output_channels=16)


class Spade(nnx.Module):
    """An instance norm whose scale and shift are read, pixel by pixel, from the
    features.

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

        self.shared: Any = nnx.data(conv(config.features, config.hidden, upsample))
        self.gamma: Any = nnx.data(conv(config.hidden, channels))
        self.beta: Any = nnx.data(conv(config.hidden, channels))
        self.modulation: Any = nnx.data(None)

    def __call__(
        self, x: Float[Array, "n H W c"], hidden: Float[Array, "n H W k"]
    ) -> Float[Array, "n H W c"]:
        """The normed map; `hidden` is what `shared` makes of the features, before its
        ReLU."""
        hidden = nnx.relu(hidden)
        if self.modulation is None:
            gamma, beta = self.gamma(hidden), self.beta(hidden)
        else:
            gamma, beta = jnp.split(self.modulation(hidden), 2, axis=-1)
        return instance_norm(x) * (1 + gamma) + beta

    def fold(self) -> None:
        if self.modulation is None:
            self.modulation = join([self.gamma, self.beta])
            self.gamma = self.beta = None


class SpadeBlock(nnx.Module):
    """Two normed and spectrally normed convolutions, and a shortcut with its own where
    the width changes."""

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
        self.norm1, self.norm2 = spade(inputs), spade(middle)
        self.conv1 = SpectralConv(inputs, middle, (3, 3), dtype=dtype, rngs=rngs)
        self.conv2 = SpectralConv(middle, outputs, (3, 3), dtype=dtype, rngs=rngs)
        if self.widens:
            self.shortcut_norm = spade(inputs)
            self.shortcut = SpectralConv(
                inputs, outputs, (1, 1), use_bias=False, dtype=dtype, rngs=rngs
            )
        self.shared: Any = nnx.data(None)

    def __call__(
        self, x: Float[Array, "n H W c"], features: Float[Array, "n h w f"]
    ) -> Float[Array, "n H W o"]:
        hidden1, hidden2, *hidden = self._hidden(features)
        kept = self.shortcut(self.shortcut_norm(x, *hidden)) if self.widens else x
        x = self.conv1(nnx.leaky_relu(self.norm1(x, hidden1), SLOPE))
        x = self.conv2(nnx.leaky_relu(self.norm2(x, hidden2), SLOPE))
        return kept + x

    def _norms(self) -> list[Spade]:
        return [self.norm1, self.norm2, *([self.shortcut_norm] if self.widens else [])]

    def _hidden(
        self, features: Float[Array, "n h w f"]
    ) -> Sequence[Float[Array, "n H W k"]]:
        """The maps from which the norms read their scales and shifts."""
        if self.shared is None:
            return [norm.shared(features) for norm in self._norms()]
        return jnp.split(self.shared(features), len(self._norms()), axis=-1)

    def fold(self) -> None:
        if self.shared is None:
            self.shared = join([norm.shared for norm in self._norms()])
            for norm in self._norms():
                norm.shared = None


class Generator(nnx.Module):
    """Features -> picture, values from 0 to 1, four (times `upscale`) times as high and
    wide."""

    def __init__(
        self, config: GeneratorConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        features, middle = config.features, 2 * config.features
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
        self.head = Conv(
            config.output_channels,
            3 * config.upscale**2,
            (3, 3),
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, features: Float[Array, "n h w f"]) -> Float[Array, "n H W 3"]:
        x = self.stem(features)
        for block in self.middle:
            x = block(x, features)
        x = self.up1(upsample_nearest(x, 2), features)
        x = self.up2(upsample_nearest(x, 2), features)
        x = self.head(nnx.leaky_relu(x, SLOPE)).astype(jnp.float32)
        return nnx.sigmoid(pixel_shuffle(x, self.config.upscale))


def instance_norm(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Each channel of each picture to mean 0 and (biased) variance 1, counted in
    float32."""
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=(1, 2), keepdims=True)
    variance = jnp.square(wide - mean).mean(axis=(1, 2), keepdims=True)
    scale = 1 / jnp.sqrt(variance + NORM_EPSILON)
    return ((wide - mean) * scale).astype(x.dtype)
