"""W, the warping network: a source's volume, moved from its keypoints to a frame's, as
features for G.

Source: LivePortrait (its WarpingNetwork).
"""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import Conv, ConvNorm
from jaxportrait.models.dense_motion import (
    DenseMotion,
    DenseMotionNetwork,
    WarpingConfig,
    put_planes_first,
    stack_planes,
)
from jaxportrait.ops.grid import sample_volume
from jaxportrait.types import AnyArray


class Warped(NamedTuple):
    """What W makes: the features that G reads, and the motion that made them."""

    features: Float[Array, "n h w c"]
    motion: DenseMotion


class WarpingNetwork(nnx.Module):
    """Volume, source and driving keypoints -> features."""

    def __init__(
        self, config: WarpingConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        self.dtype, self.depth, self.planes_first = dtype, config.volume_depth, False
        self.dense_motion = DenseMotionNetwork(config, dtype=dtype, rngs=rngs)
        self.flatten = ConvNorm(
            config.volume_channels * config.volume_depth,
            config.features,
            (3, 3),
            dtype=dtype,
            rngs=rngs,
        )
        self.project = Conv(
            config.features, config.features, (1, 1), dtype=dtype, rngs=rngs
        )

    def __call__(
        self,
        volume: Float[Array, "m d h w c"],
        source: Float[Array, "m k 3"],
        driving: Float[Array, "n k 3"],
        compressed: Float[Array, "m d h w e"] | None = None,
        mobility: Float[AnyArray, "m h w"] | None = None,
    ) -> Warped:
        """Move `volume` from `source` to each of `driving`; m = n, or m = 1: one source
        serves every frame.

        Args:
          compressed: `dense_motion.compress_volume(volume)`, where many frames share
            it.
          mobility: how far each place follows, 0 to 1; by default 1 everywhere.
        """
        if compressed is None:
            compressed = self.dense_motion.compress_volume(volume)
        motion = self.dense_motion(compressed, source, driving, mobility)
        moved = sample_volume(volume.astype(self.dtype), motion.deformation)
        planes = stack_planes(moved, planes_first=self.planes_first)
        features = self.project(nnx.leaky_relu(self.flatten(planes), 0.01))
        return Warped(features * motion.occlusion.astype(features.dtype), motion)

    def fold(self) -> None:
        if not self.planes_first:
            put_planes_first(self.flatten.conv, self.depth)
            self.planes_first = True
