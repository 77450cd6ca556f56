"""ConvNeXt V2, the backbone of the motion extractor.

Source: Woo et al., "ConvNeXt V2", 2023, in LivePortrait's size.
"""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models import blocks
from jaxportrait.models.blocks import Conv, channelwise

EPSILON = 1e-6
"""Added to variances and energies in every norm, as published."""


class GlobalResponseNorm(nnx.Module):
    """Each channel weighed by its share of the picture's energy.

    The result is gamma * x * share + beta + x.
    """

    def __init__(self, channels: int):
        # Zeros: a fresh norm passes its input on.
        self.gamma = nnx.Param(jnp.zeros((channels,)))
        self.beta = nnx.Param(jnp.zeros((channels,)))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        # Energies are float32, and a share is then of the layer's dtype.
        squares = jnp.square(x.astype(jnp.float32))
        energy = jnp.sqrt(squares.sum(axis=(1, 2), keepdims=True))
        share = energy / (energy.mean(axis=-1, keepdims=True) + EPSILON)
        gamma = channelwise(self.gamma[...].astype(x.dtype), x)
        beta = channelwise(self.beta[...].astype(x.dtype), x)
        return gamma * (x * share.astype(x.dtype)) + beta + x


class Block(nnx.Module):
    """A depthwise 7 x 7 convolution and an inverted bottleneck, added to the input."""

    def __init__(self, channels: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.depthwise = Conv(
            channels, channels, (7, 7), groups=channels, dtype=dtype, rngs=rngs
        )
        self.norm = layer_norm(channels, dtype=dtype, rngs=rngs)
        self.expand = nnx.Linear(channels, 4 * channels, dtype=dtype, rngs=rngs)
        self.response = GlobalResponseNorm(4 * channels)
        self.project = nnx.Linear(4 * channels, channels, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        # Spatial mixing first, then two linear layers over channels.
        hidden = self.expand(self.norm(self.depthwise(x)))
        # The exact GELU of the publication, not the tanh approximation.
        hidden = nnx.gelu(hidden, approximate=False)
        return x + self.project(self.response(hidden))


class FirstStage(nnx.Module):
    """Patches of 4 x 4 pixels embedded, a norm, and blocks."""

    def __init__(self, channels: int, depth: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.norm = layer_norm(channels, dtype=dtype, rngs=rngs)
        self.embed = Conv(3, channels, (4, 4), stride=4, dtype=dtype, rngs=rngs)
        self.blocks = nnx.List(
            Block(channels, dtype=dtype, rngs=rngs) for _ in range(depth)
        )

    def __call__(self, image: Float[Array, "n H W 3"]) -> Float[Array, "n h w d"]:
        x = self.norm(self.embed(image))
        for block in self.blocks:
            x = block(x)
        return x


# Unlike the first stage, it norms before it embeds, as published.
class Stage(nnx.Module):
    """A norm, patches of 2 x 2 embedded, and blocks."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        depth: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        self.norm = layer_norm(inputs, dtype=dtype, rngs=rngs)
        self.embed = Conv(inputs, channels, (2, 2), stride=2, dtype=dtype, rngs=rngs)
        self.blocks = nnx.List(
            Block(channels, dtype=dtype, rngs=rngs) for _ in range(depth)
        )

    def __call__(self, x: Float[Array, "n H W c"]) -> Float[Array, "n h w d"]:
        x = self.embed(self.norm(x))
        for block in self.blocks:
            x = block(x)
        return x


class ConvNeXtV2(nnx.Module):
    """Picture -> one feature vector."""

    def __init__(
        self,
        depths: tuple[int, ...],
        widths: tuple[int, ...],
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        # Each stage but the first halves height and width.
        first = FirstStage(widths[0], depths[0], dtype=dtype, rngs=rngs)
        stages: list[nnx.Module] = [first]
        for sizes in zip(widths[:-1], widths[1:], depths[1:], strict=True):
            stages.append(Stage(*sizes, dtype=dtype, rngs=rngs))
        self.stages = nnx.List(stages)
        self.norm = layer_norm(widths[-1], dtype=dtype, rngs=rngs)

    def __call__(self, image: Float[Array, "n H W 3"]) -> Float[Array, "n c"]:
        x = image
        for stage in self.stages:
            x = stage(x)
        # Global average pooling: (n, h, w, c) -> (n, c).
        return self.norm(x.mean(axis=(1, 2)))


def layer_norm(channels: int, *, dtype: DTypeLike, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Return a layer norm with the published epsilon."""
    return blocks.layer_norm(channels, epsilon=EPSILON, dtype=dtype, rngs=rngs)
