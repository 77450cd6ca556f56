"""HuBERT's encoder: samples of a window -> audio features at 50 Hz.

wav2vec 2.0 of the same size has the same shape, names and arithmetic.

Source: Hsu et al., "HuBERT: self-supervised speech representation learning by masked
prediction of hidden units", 2021; Baevski et al., "wav2vec 2.0", 2020. JoyVASA holds
the base size, fine-tuned.
"""

from dataclasses import dataclass
from typing import Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.attention import SelfAttention
from jaxportrait.models.blocks import (
    NORM_EPSILON,
    channelwise,
    fan_in_uniform,
    layer_norm,
)
from jaxportrait.ops.conv import convolve
from jaxportrait.ops.dropout import KEEP, Keep
from jaxportrait.ranges import Blocks, Heads, Width, check_ranges

KERNELS = (10, 3, 3, 3, 3, 2, 2)
"""Taps of the convolutions over samples."""
STRIDES = (5, 2, 2, 2, 2, 2, 2)
"""Their strides, whose product is the samples of a feature: 320."""


@dataclass(frozen=True)
class HubertConfig:
    """Sizes of HuBERT's encoder.

    Attributes:
      context: features of a window, which is encoded by itself.
      channels: outputs of each convolution over samples.
      width: values of a feature.
      heads: attention heads.
      layers: blocks of the transformer.
      hidden: inner width of a block's MLP.
      position_taps: taps of the convolution that makes positions, an even number.
      position_groups: groups of channels of that convolution.
    """

    context: Width = 200
    channels: Width = 512
    width: Width = 768
    heads: Heads = 12
    layers: Blocks = 12
    hidden: Width = 3072
    position_taps: Width = 128
    position_groups: Width = 16

    def __post_init__(self) -> None:
        check_ranges(self)
        for name in ("heads", "position_groups"):
            count = getattr(self, name)
            if self.width % count:
                raise ValueError(
                    f"{name} is {count}: it must divide the width, {self.width}"
                )
        if self.position_taps % 2:
            raise ValueError(f"position_taps is {self.position_taps}: it must be even")

    @classmethod
    def full(cls) -> Self:
        # The base size, in windows of 4 s.
        return cls()

    @classmethod
    def tiny(cls) -> Self:
        return cls(40, 8, 16, 2, 1, 32, 16, 4)


class SampleConv(nnx.Module):
    """A strided convolution over samples, without bias and padding, then GELU.

    Args:
      normalized: each channel is normalised over the whole window before GELU.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        taps: int,
        stride: int,
        *,
        normalized: bool,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        shape = (taps, inputs, outputs)
        self.kernel = nnx.Param(fan_in_uniform(rngs.params(), shape))
        if normalized:
            self.norm = ChannelNorm(outputs)
        self.normalized = normalized
        self.stride = stride
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n T o"]:
        kernel = self.kernel[...].astype(self.dtype)
        x = convolve(x, kernel, stride=self.stride, padding=((0, 0),))
        if self.normalized:
            x = self.norm(x)
        return nnx.gelu(x, approximate=False)


class ChannelNorm(nnx.Module):
    """A group norm with a group for each channel: over time, by the window's moments."""

    def __init__(self, channels: int):
        self.scale = nnx.Param(jnp.ones(channels))
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        # In float32 whatever the dtype: thousands of values are added.
        values = x.astype(jnp.float32)
        mean = values.mean(axis=1, keepdims=True)
        centred = values - mean
        variance = jnp.square(centred).mean(axis=1, keepdims=True)
        # One factor a channel, so that the long sequence is scaled once.
        factor = channelwise(self.scale[...], x) / jnp.sqrt(variance + NORM_EPSILON)
        return (centred * factor + channelwise(self.bias[...], x)).astype(x.dtype)


class PositionConv(nnx.Module):
    """Positions of features from their neighbours: a wide convolution, then GELU.

    Published files hold its kernel as a direction and a length for every tap; here it
    is their product.
    """

    def __init__(self, config: HubertConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width = config.width
        inputs = width // config.position_groups
        shape = (config.position_taps, inputs, width)
        self.kernel = nnx.Param(fan_in_uniform(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(width))
        self.groups = config.position_groups
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        taps = self.kernel.shape[0]
        # An even kernel would make one feature more, the last: it is not computed.
        padding = ((0, 0), (taps // 2, taps // 2 - 1))
        # As a map of one row, since sequences are convolved without groups.
        kernel = self.kernel[...].astype(self.dtype)[None]
        row = convolve(x[:, None], kernel, padding=padding, groups=self.groups)
        y = row[:, 0]
        return nnx.gelu(y + channelwise(self.bias[...].astype(y.dtype), y), False)


class HubertBlock(nnx.Module):
    """Attention and an MLP; each is added to its input, and the sum is normalised."""

    def __init__(self, config: HubertConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        width = config.width
        self.attention = SelfAttention(width, config.heads, dtype=dtype, rngs=rngs)
        self.attention_norm = layer_norm(width, dtype=dtype, rngs=rngs)
        self.expand = nnx.Linear(width, config.hidden, dtype=dtype, rngs=rngs)
        self.project = nnx.Linear(config.hidden, width, dtype=dtype, rngs=rngs)
        self.mlp_norm = layer_norm(width, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Float[Array, "n t c"], drop: Keep = KEEP
    ) -> Float[Array, "n t c"]:
        # Norms stand after the sums, unlike in Whisper.
        x = self.attention_norm(x + drop(self.attention(x, drop)))
        hidden = nnx.gelu(self.expand(x), approximate=False)
        return self.mlp_norm(x + drop(self.project(drop(hidden))))


class HubertEncoder(nnx.Module):
    """Samples of windows -> audio features, the last block's output.

    Every feature depends on its whole window, by the first norm and by attention.
    """

    def __init__(
        self, config: HubertConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        channels = config.channels
        self.config = config
        self.convs = nnx.List(
            SampleConv(
                channels if index else 1,
                channels,
                taps,
                stride,
                normalized=index == 0,
                dtype=dtype,
                rngs=rngs,
            )
            for index, (taps, stride) in enumerate(zip(KERNELS, STRIDES, strict=True))
        )
        self.sample_norm = layer_norm(channels, dtype=dtype, rngs=rngs)
        self.projection = nnx.Linear(channels, config.width, dtype=dtype, rngs=rngs)
        self.positions = PositionConv(config, dtype=dtype, rngs=rngs)
        self.norm = layer_norm(config.width, dtype=dtype, rngs=rngs)
        self.blocks = nnx.List(
            HubertBlock(config, dtype=dtype, rngs=rngs) for _ in range(config.layers)
        )
        self.dtype = dtype

    def __call__(self, samples: Float[Array, "n s"]) -> Float[Array, "n t width"]:
        """Compute the features of windows at 16 kHz, values in -1..1.

        Of `320 t + 80` samples there are t features.
        """
        return self.transform(self.convolve(samples))

    def transform(
        self, x: Float[Array, "n t channels"], drop: Keep = KEEP
    ) -> Float[Array, "n t width"]:
        """Return the features of what the convolutions over samples make.

        Args:
          drop: dropout of training.
        """
        x = drop(self.embed(self.project(x)))
        for block in self.blocks:
            x = drop.block(x, block(x, drop))
        return x

    def convolve(self, samples: Float[Array, "n s"]) -> Float[Array, "n t channels"]:
        """Return what the convolutions over samples make."""
        # (n, s) -> (n, s, 1): a sound has one channel.
        x = samples.astype(self.dtype)[..., None]
        for conv in self.convs:
            x = conv(x)
        return x

    def project(self, x: Float[Array, "n t channels"]) -> Float[Array, "n t width"]:
        """Return the convolutions' output at the transformer's width."""
        return self.projection(self.sample_norm(x))

    def embed(self, x: Float[Array, "n t width"]) -> Float[Array, "n t width"]:
        """Return the transformer's input: features that know their neighbours."""
        return self.norm(x + self.positions(x))
