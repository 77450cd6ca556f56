"""VGG-19's convolutions, whose feature maps say how alike two pictures look; training
alone asks them.

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

CONVOLUTIONS = (2, 2, 4, 4, 1)
"""Of each stage; those of the last that come after relu5_1 are left out."""
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue, by which its pictures are normalised."""


@dataclass(frozen=True)
class VGGConfig:
    """VGG-19's convolutions, which compare pictures in training: picture -> feature
    maps.

    Attributes:
      widths: channels of its five stages; each but the first begins with half the
        height and width of the one before.
    """

    widths: tuple[int, int, int, int, int]

    @property
    def halvings(self) -> int:
        """How many times a picture is halved on its way to the last map."""
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
            widths = itertools.pairwise((inputs, *(width,) * count))
            return nnx.List(
                Conv(before, after, (3, 3), dtype=dtype, rngs=rngs)
                for before, after in widths
            )

        sizes = zip((3, *config.widths[:-1]), config.widths, CONVOLUTIONS, strict=True)
        self.stages = nnx.List(stage(*size) for size in sizes)

    def __call__(self, image: Float[Array, "n H W 3"]) -> list[Float[Array, "n h w c"]]:
        """The maps relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of `image`, whose
        values are from 0 to 1.

        Each has half the height and width of the one before, rounded down.
        """
        mean, deviation = (
            channelwise(jnp.array(each), image)
            for each in (IMAGENET_MEAN, IMAGENET_DEVIATION)
        )
        x, maps = (image - mean) / deviation, []
        for first, *others in self.stages:
            x = nnx.relu(first(max_pool(x) if maps else x))
            maps.append(x)
            for conv in others:
                x = nnx.relu(conv(x))
        return maps
