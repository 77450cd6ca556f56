"""W, the warping network: moves a source's volume from its keypoints to a frame's.

Source: LivePortrait (its WarpingNetwork and DenseMotionNetwork); Siarohin et al.,
"First order motion model", 2019.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.blocks import Conv, ConvNorm
from jaxportrait.models.hourglass import Hourglass
from jaxportrait.ops.grid import (
    coordinate_grid,
    keypoint_gaussians,
    sample_volume,
    translate_volume,
)
from jaxportrait.ranges import Halvings, Positive, Taps, Width, check_ranges
from jaxportrait.types import AnyArray

SLOPE = 0.01
"""Negative slope of the leaky ReLU, PyTorch's default."""


@dataclass(frozen=True)
class WarpingConfig:
    """Sizes of the warping network W: volume and keypoints -> features for G.

    Attributes:
      keypoints: implicit keypoints.
      volume_channels: channels of the volume.
      volume_depth: planes of the volume.
      features: channels of the output.
      compressed_channels: channels of the volume that the dense motion network reads.
      hourglass_channels: its base width; doubled by every block.
      hourglass_max_channels: the largest width.
      hourglass_blocks: blocks down, and as many up.
      mask_kernel: taps along each axis of the convolution to the masks.
      heat_depth: deviation of a keypoint's gaussian along the depth from -1 to 1. 0.1
        suits 16 planes. With few planes most keypoints fall between two of them, and it
        must be wider.
    """

    keypoints: Width
    volume_channels: Width
    volume_depth: Width
    features: Width
    compressed_channels: Width
    hourglass_channels: Width
    hourglass_max_channels: Width
    hourglass_blocks: Halvings
    mask_kernel: Taps = 7
    heat_depth: Positive = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)
        # An even kernel is not padded, and its map would be smaller.
        if self.mask_kernel % 2 == 0:
            raise ValueError(f"mask_kernel is {self.mask_kernel}: it must be odd")

    @property
    def motion_channels(self) -> int:
        """Channels that the hourglass reads.

        They are a heat map and a moved volume for the background and each keypoint.
        """
        return (self.keypoints + 1) * (self.compressed_channels + 1)

    @property
    def hourglass_outputs(self) -> int:
        """Channels of the hourglass's last map: its base width and its input."""
        return self.hourglass_channels + self.motion_channels

    @classmethod
    def full(cls) -> Self:
        # As published; five blocks bring 64 x 64 down to 2 x 2.
        return cls(21, 32, 16, 256, 4, 32, 1024, 5)

    @classmethod
    def tiny(cls) -> Self:
        return cls(21, 4, 8, 32, 2, 4, 16, 3)


class DenseMotion(NamedTuple):
    """The motion of every voxel.

    Attributes:
      mask_logits: logits of the keypoint (or the background, first) that a voxel
        follows.
      deformation: positions at which the moved volume is sampled, (x, y, z) in [-1, 1].
      occlusion: visible share of the moved features, 0 to 1.
    """

    mask_logits: Float[Array, "n d h w k+1"]
    deformation: Float[Array, "n d h w 3"]
    occlusion: Float[Array, "n h w 1"]


class Warped(NamedTuple):
    """The output of W: the features that G reads, and the motion that moved them."""

    features: Float[Array, "n h w c"]
    motion: DenseMotion


def stack_planes(volume: Float[Array, "n d h w c"]) -> Float[Array, "n h w c*d"]:
    """Lay the planes of a volume side by side as channels, each channel's in turn."""
    n, _, height, width, _ = volume.shape
    # (n, d, h, w, c) -> (n, h, w, c, d), the order of the published weights
    return volume.transpose(0, 2, 3, 4, 1).reshape(n, height, width, -1)


class DenseMotionNetwork(nnx.Module):
    """Compressed volume, source and driving keypoints -> dense motion."""

    # Inference forms have another order.
    stack_planes = staticmethod(stack_planes)

    def __init__(
        self, config: WarpingConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        # The occlusion reads all planes of a 2-D position at once.
        def conv(outputs: int, kernel_size: tuple[int, ...], depth: int = 1) -> Conv:
            inputs = config.hourglass_outputs * depth
            return Conv(inputs, outputs, kernel_size, dtype=dtype, rngs=rngs)

        self.config = config
        self.compress = ConvNorm(
            config.volume_channels,
            config.compressed_channels,
            (1, 1, 1),
            dtype=dtype,
            rngs=rngs,
        )
        self.hourglass = Hourglass(
            config.motion_channels,
            config.hourglass_channels,
            config.hourglass_max_channels,
            config.hourglass_blocks,
            dtype=dtype,
            rngs=rngs,
        )
        self.mask = conv(config.keypoints + 1, (config.mask_kernel,) * 3)
        self.occlusion = conv(1, (7, 7), depth=config.volume_depth)

    def compress_volume(
        self, volume: Float[Array, "n d h w c"]
    ) -> Float[Array, "n d h w e"]:
        """Compute the part that depends only on the source."""
        return nnx.relu(self.compress(volume))

    def __call__(
        self,
        compressed: Float[Array, "m d h w e"],
        source: Float[Array, "m k 3"],
        driving: Float[Array, "n k 3"],
        mobility: Float[AnyArray, "m h w"] | None = None,
    ) -> DenseMotion:
        """Compute the motion from `source` to each of `driving`.

        Args:
          compressed: result of `compress_volume`; m = n, or m = 1 where one source
            serves every frame.
          source: keypoints of the source.
          driving: keypoints of the frames.
          mobility: factor of the motion of each column of voxels; 1 by default.
        """
        # Where a voxel near a driving keypoint comes from; the background stays.
        shifts = jnp.pad(source - driving, ((0, 0), (1, 0), (0, 0)))
        sparse_motion = self._sparse_motion(compressed, source, driving, shifts)
        # Which keypoint a voxel follows: logits over the background and the keypoints.
        prediction = self.hourglass(sparse_motion)
        logits = self.mask(prediction).astype(jnp.float32)
        # The masks sum to one. So the weighted sum of the moved grids is the grid plus
        # the weighted shifts.
        masks = jax.nn.softmax(logits, axis=-1)
        motion = jnp.einsum(
            "ndhwk,nkx->ndhwx", masks, shifts, precision=lax.Precision.HIGHEST
        )
        if mobility is not None:
            motion = motion * mobility[:, None, :, :, None]
        grid = coordinate_grid(*compressed.shape[1:4])
        # The depth becomes channels: the occlusion is a 2-D map.
        planes = self.stack_planes(prediction)
        occlusion = nnx.sigmoid(self.occlusion(planes).astype(jnp.float32))
        return DenseMotion(logits, grid[None] + motion, occlusion)

    def _sparse_motion(
        self, compressed: Array, source: Array, driving: Array, shifts: Array
    ) -> Float[Array, "n d h w c"]:
        """Return the heat and the moved volume of the background and each keypoint.

        The heat is that of the driving keypoint minus that of the source's.
        """
        size = compressed.shape[1:4]
        driving_heat = keypoint_gaussians(driving, size, self.config.heat_depth)
        heat = driving_heat - keypoint_gaussians(source, size, self.config.heat_depth)
        # The background, first, has no heat.
        heat = jnp.pad(heat, ((0, 0), (0, 0), (0, 0), (0, 0), (1, 0)))
        heat = heat.astype(compressed.dtype)[..., None]
        moved = translate_volume(compressed, shifts)
        x = jnp.concatenate([heat, moved], axis=-1)  # (n, d, h, w, k + 1, 1 + e)
        return x.reshape(*x.shape[:4], -1)


class WarpingNetwork(nnx.Module):
    """Volume, source and driving keypoints -> features."""

    stack_planes = staticmethod(stack_planes)

    def __init__(
        self, config: WarpingConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        self.config = config
        self.dtype = dtype
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
        """Move `volume` from `source` to each of `driving`.

        Args:
          volume: result of F; m = n, or m = 1 where one source serves every frame.
          source: keypoints of the source.
          driving: keypoints of the frames.
          compressed: `dense_motion.compress_volume(volume)`, where many frames share
            it.
          mobility: share of the motion that a place follows, 0 to 1; 1 by default.
        """
        if compressed is None:
            compressed = self.dense_motion.compress_volume(volume)
        # Dense motion, then the volume sampled by it.
        motion = self.dense_motion(compressed, source, driving, mobility)
        moved = sample_volume(volume.astype(self.dtype), motion.deformation)
        # The depth becomes channels: G is a 2-D network.
        planes = self.stack_planes(moved)
        features = self.project(nnx.leaky_relu(self.flatten(planes), SLOPE))
        return Warped(features * motion.occlusion.astype(features.dtype), motion)
