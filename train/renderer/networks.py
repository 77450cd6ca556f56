"""The networks that are trained together: F, M, W and G, and the discriminator that
scores their pictures."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import SpectralConv
from jaxportrait.models.parts import build
from jaxportrait.models.warping import Warped
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.ops.resize import mean_pool
from jaxportrait.types import Motion
from train.renderer.config import DiscriminatorConfig, RendererConfig

SLOPE = 0.2
"""Slope of the leaky ReLU below 0."""


class Discriminator(nnx.Module):
    """Picture -> scores, one a patch; positive for true pictures.

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
        # RGB, and a doubling of channels by each layer.
        widths = [3]
        for layer in range(config.layers):
            widths.append(min(config.max_channels, config.channels * 2**layer))
        self.layers = nnx.List(
            SpectralConv(inputs, outputs, (3, 3), dtype=dtype, rngs=rngs)
            for inputs, outputs in itertools.pairwise(widths)
        )
        self.opinion = SpectralConv(widths[-1], 1, (3, 3), dtype=dtype, rngs=rngs)

    def __call__(
        self, image: Float[Array, "n H W 3"]
    ) -> tuple[Float[Array, "n h w 1"], list[Float[Array, "n h w c"]]]:
        """Return the scores of `image`, whose values are from 0 to 1, and the feature
        maps before them."""
        # From [0, 1] to [-1, 1].
        x = 2 * image - 1
        maps = []
        for layer in self.layers:
            x = mean_pool(nnx.leaky_relu(layer(x), SLOPE))
            maps.append(x)
        return self.opinion(x).astype(jnp.float32), maps


class Placed(NamedTuple):
    """Keypoints and motion of a pair.

    Attributes:
      source: keypoints of the source frames.
      driving: keypoints of the driving frames, from the source's canonical ones.
      motion: motion of the source frames, and then of the driving frames.
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
        def network(part: str) -> Any:
            return build(sizes[part], dtype=dtype, rngs=rngs)

        self.appearance = network("appearance")
        self.motion = network("motion")
        self.warping = network("warping")
        self.generator = network("generator")

    def __call__(
        self, source: Float[Array, "n h w 3"], driving: Float[Array, "n h w 3"]
    ) -> Float[Array, "n H W 3"]:
        """Draw each of `source`, moved as its `driving` frame; values are from 0 to
        1."""
        return self.draw(source, self.place(source, driving))

    def place(
        self, source: Float[Array, "n h w 3"], driving: Float[Array, "n h w 3"]
    ) -> Placed:
        """Return the keypoints of both frames."""
        # One pass of M over both; driving frames move the source's canonical keypoints.
        n = len(source)
        motion = self.motion(jnp.concatenate([source, driving]))
        canonical = motion.keypoints.at[n:].set(motion.keypoints[:n])
        keypoints = place_keypoints(motion, canonical)
        return Placed(keypoints[:n], keypoints[n:], motion)

    def draw(
        self, source: Float[Array, "n h w 3"], placed: Placed
    ) -> Float[Array, "n H W 3"]:
        """Draw each of `source`, with its keypoints moved to those of the driving
        frame."""
        return self.generator(self.warp(source, placed).features)

    def warp(self, source: Float[Array, "n h w 3"], placed: Placed) -> Warped:
        """Return the warped features of `source`, and the motion that warped them."""
        return self.warping(self.appearance(source), placed.source, placed.driving)


class Networks(Renderer):
    """F, M, W, G and, where there is one, the discriminator."""

    def __init__(
        self, config: RendererConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        super().__init__(config.sizes, dtype=dtype, rngs=rngs)
        if config.has_discriminator:
            self.discriminator = Discriminator(
                config.discriminator, dtype=dtype, rngs=rngs
            )


def place_keypoints(
    motion: Motion, canonical: Float[Array, "n k 3"]
) -> Float[Array, "n k 3"]:
    """Move canonical keypoints by each picture's pose, expression, scale and
    translation."""
    return transform_keypoints(
        canonical,
        rotation_matrix(motion.pose),
        motion.expression,
        motion.scale,
        motion.translation,
    )
