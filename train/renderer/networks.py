"""The networks that are trained together: F, M, W and G, and the discriminator that
judges their pictures."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import SpectralConv
from jaxportrait.models.parts import RENDERER, build
from jaxportrait.models.warping import Warped
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.ops.resize import mean_pool
from jaxportrait.types import Motion
from train.renderer.config import DiscriminatorConfig, RendererConfig

SLOPE = 0.2


class Discriminator(nnx.Module):
    """Picture -> opinions, one a patch; positive for true pictures.

    Source: Isola et al., "Image-to-image translation with conditional adversarial
    networks", 2017; with the spectral norm of Miyato et al., 2018.
    """

    def __init__(
        self,
        config: DiscriminatorConfig,
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        widths = [
            min(config.max_channels, config.channels * 2**i)
            for i in range(config.layers)
        ]
        self.layers = nnx.List(
            SpectralConv(inputs, outputs, (3, 3), dtype=dtype, rngs=rngs)
            for inputs, outputs in itertools.pairwise((3, *widths))
        )
        self.opinion = SpectralConv(widths[-1], 1, (3, 3), dtype=dtype, rngs=rngs)

    def __call__(
        self, image: Float[Array, "n H W 3"]
    ) -> tuple[Float[Array, "n h w 1"], list[Float[Array, "n h w c"]]]:
        """Opinions of `image`, whose values are from 0 to 1, and the feature maps
        before them."""
        x, maps = 2 * image - 1, []
        for layer in self.layers:
            x = mean_pool(nnx.leaky_relu(layer(x), SLOPE))
            maps.append(x)
        return self.opinion(x).astype(jnp.float32), maps


class Placed(NamedTuple):
    """What M makes of a pair.

    Attributes:
      source, driving: keypoints; those of the driving frame are made of the source's
        canonical ones.
      motion: of the source frames, and after them of the driving frames.
    """

    source: Float[Array, "n k 3"]
    driving: Float[Array, "n k 3"]
    motion: Motion


class Renderer(nnx.Module):
    """F, M, W and G."""

    def __init__(
        self,
        sizes: Mapping[str, Any],
        *,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        networks: list[Any] = [
            build(sizes[part], dtype=dtype, rngs=rngs) for part in RENDERER
        ]
        self.appearance, self.motion, self.warping, self.generator = networks

    def __call__(
        self, source: Float[Array, "n h w 3"], driving: Float[Array, "n h w 3"]
    ) -> Float[Array, "n H W 3"]:
        """Each of `source`, moved as its `driving` frame; values are from 0 to 1."""
        return self.draw(source, self.place(source, driving))

    def place(
        self, source: Float[Array, "n h w 3"], driving: Float[Array, "n h w 3"]
    ) -> Placed:
        """The keypoints of both frames."""
        n = len(source)
        motion = self.motion(jnp.concatenate([source, driving]))
        canonical = motion.keypoints.at[n:].set(motion.keypoints[:n])
        keypoints = place_keypoints(motion, canonical)
        return Placed(keypoints[:n], keypoints[n:], motion)

    def draw(
        self, source: Float[Array, "n h w 3"], placed: Placed
    ) -> Float[Array, "n H W 3"]:
        """Each of `source`, with its keypoints moved to those of the driving frame."""
        return self.generator(self.warp(source, placed).features)

    def warp(self, source: Float[Array, "n h w 3"], placed: Placed) -> Warped:
        """What of `source` is drawn, where, and the motion that took it there."""
        return self.warping(self.appearance(source), placed.source, placed.driving)


class Networks(Renderer):
    """F, M, W, G and, where there is one, the discriminator."""

    def __init__(
        self, config: RendererConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        super().__init__(config.sizes, dtype=dtype, rngs=rngs)
        if config.judged:
            self.discriminator = Discriminator(
                config.discriminator, dtype=dtype, rngs=rngs
            )


def place_keypoints(
    motion: Motion, canonical: Float[Array, "n k 3"]
) -> Float[Array, "n k 3"]:
    """Canonical keypoints, moved by each picture's pose, expression, scale and
    translation."""
    return transform_keypoints(
        canonical,
        rotation_matrix(motion.pose),
        motion.expression,
        motion.scale,
        motion.translation,
    )
