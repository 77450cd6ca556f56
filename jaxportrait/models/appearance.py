"""F, the appearance feature extractor: picture -> feature volume, once a source.

Source: LivePortrait (its AppearanceFeatureExtractor).
"""

import itertools
from dataclasses import dataclass
from typing import Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import Conv, ConvNorm, batch_norm
from jaxportrait.ops.resize import mean_pool
from jaxportrait.ranges import Blocks, Halvings, Width, check_ranges


@dataclass(frozen=True)
class AppearanceConfig:
    """Sizes of the appearance feature extractor F: picture -> feature volume.

    Attributes:
      base_channels: channels of the stem; doubled by every down block.
      max_channels: the largest number of channels.
      down_blocks: blocks that halve height and width.
      volume_channels: channels of the volume.
      volume_depth: planes of the volume; the last 2-D map has volume_channels *
        volume_depth channels.
      residual_blocks: 3-D blocks on the volume.
    """

    base_channels: Width
    max_channels: Width
    down_blocks: Halvings
    volume_channels: Width
    volume_depth: Width
    residual_blocks: Blocks

    def __post_init__(self) -> None:
        check_ranges(self)

    @classmethod
    def full(cls) -> Self:
        # As published: 256 x 256 pixels become a volume of 16 planes of 64 x 64.
        return cls(64, 512, 2, 32, 16, 6)

    @classmethod
    def tiny(cls) -> Self:
        return cls(8, 32, 2, 4, 8, 2)


class ResidualBlock(nnx.Module):
    """Two 3-D convolutions, each AFTER its norm and ReLU, added to the input."""

    def __init__(self, channels: int, *, dtype: DTypeLike, rngs: nnx.Rngs):
        self.norm1 = batch_norm(channels, dtype=dtype, rngs=rngs)
        self.conv1 = ConvNorm(channels, channels, (3, 3, 3), dtype=dtype, rngs=rngs)
        self.conv2 = Conv(channels, channels, (3, 3, 3), dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n d h w c"]) -> Float[Array, "n d h w c"]:
        return x + self.conv2(nnx.relu(self.conv1(nnx.relu(self.norm1(x)))))


class AppearanceExtractor(nnx.Module):
    """Picture -> appearance feature volume."""

    def __init__(
        self,
        config: AppearanceConfig,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        # Channels before the first down block, and after each.
        widths = [config.base_channels * 2**i for i in range(config.down_blocks + 1)]
        widths = [min(config.max_channels, width) for width in widths]
        self.config = config
        self.stem = ConvNorm(3, config.base_channels, (3, 3), dtype=dtype, rngs=rngs)
        self.downs = nnx.List(
            ConvNorm(inputs, outputs, (3, 3), dtype=dtype, rngs=rngs)
            for inputs, outputs in itertools.pairwise(widths)
        )
        # A 1 x 1 convolution to the channels of all planes together.
        self.lift = Conv(
            widths[-1],
            config.volume_channels * config.volume_depth,
            (1, 1),
            dtype=dtype,
            rngs=rngs,
        )
        self.residuals = nnx.List(
            ResidualBlock(config.volume_channels, dtype=dtype, rngs=rngs)
            for _ in range(config.residual_blocks)
        )

    def __call__(self, image: Float[Array, "n H W 3"]) -> Float[Array, "n d h w c"]:
        """Compute the volume of `image`, with values from 0 to 1.

        h = H / 2 ** down_blocks.
        """
        x = nnx.relu(self.stem(image))
        for down in self.downs:
            x = mean_pool(nnx.relu(down(x)))
        # The lifted map's channels hold the planes of each volume channel in turn.
        x = self.lift(x)
        channels = self.config.volume_channels
        x = x.reshape(*x.shape[:3], channels, self.config.volume_depth)
        volume = x.transpose(0, 4, 1, 2, 3)  # (n, h, w, c, d) -> (n, d, h, w, c)
        for residual in self.residuals:
            volume = residual(volume)
        return volume
