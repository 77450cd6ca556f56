"""VGG-19's convolutions, whose feature maps say how alike two pictures look.

Only training uses them.

Source: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition", 2015 (its configuration E), as torchvision's `vgg19` has it.
"""

import itertools
from dataclasses import dataclass
from typing import Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import Conv, channelwise
from jaxportrait.ops.resize import max_pool
from jaxportrait.ranges import Width, check_ranges

CONVOLUTIONS = (2, 2, 4, 4, 1)
"""Convolutions of each stage; those after relu5_1 are left out."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green and blue, by which torchvision normalises pictures."""
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Deviation of red, green and blue, by which torchvision normalises pictures."""


@dataclass(frozen=True)
class VGGConfig:
    """Sizes of VGG-19's convolutions: picture -> feature maps.

    Attributes:
      widths: channels of its five stages; every stage but the first halves height and
        width.
    """

    widths: tuple[Width, Width, Width, Width, Width]

    def __post_init__(self) -> None:
        check_ranges(self)
        if len(self.widths) != len(CONVOLUTIONS):
            raise ValueError(f"widths are {self.widths}: VGG-19 has five stages")

    @property
    def halvings(self) -> int:
        """Times that a picture is halved before the last map."""
        return len(self.widths) - 1

    @classmethod
    def full(cls) -> Self:
        return cls((64, 128, 256, 512, 512))

    @classmethod
    def tiny(cls) -> Self:
        return cls((4, 8, 8, 16, 16))


class VGG(nnx.Module):
    """Picture -> feature maps, fine ones first."""

    def __init__(
        self, config: VGGConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        def stage(inputs: int, width: int, count: int) -> nnx.List:
            # Channels before the first convolution, and after each.
            widths = [inputs, *[width] * count]
            return nnx.List(
                Conv(before, after, (3, 3), dtype=dtype, rngs=rngs)
                for before, after in itertools.pairwise(widths)
            )

        inputs = (3, *config.widths[:-1])
        self.stages = nnx.List(map(stage, inputs, config.widths, CONVOLUTIONS))

    def __call__(self, image: Float[Array, "n H W 3"]) -> list[Float[Array, "n h w c"]]:
        """Compute the maps relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.

        Each has half the height and width of the one before, rounded down.

        Args:
          image: values from 0 to 1.
        """
        # From 0..1 to the range that the published weights expect.
        mean = channelwise(jnp.array(IMAGENET_MEAN), image)
        deviation = channelwise(jnp.array(IMAGENET_DEVIATION), image)
        x = (image - mean) / deviation
        maps: list[Array] = []
        for first, *others in self.stages:
            # Every stage but the first begins with half the size.
            if maps:
                x = max_pool(x)
            x = nnx.relu(first(x))
            maps.append(x)
            # Only the first map of each stage is compared; the rest lead to the next.
            for conv in others:
                x = nnx.relu(conv(x))
        return maps
