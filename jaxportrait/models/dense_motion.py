"""The dense motion network of W: from keypoints to a deformation of the volume and an
occlusion map.

Source: LivePortrait (its DenseMotionNetwork); Siarohin et al., "First order motion
model", 2019.
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
from jaxportrait.ops.grid import coordinate_grid, keypoint_gaussians, translate_volume
from jaxportrait.ops.resize import mean_pool
from jaxportrait.types import AnyArray


@dataclass(frozen=True)
class WarpingConfig:
    """Warping network W: feature volume moved from source to driving keypoints ->
    features for the generator.

    Attributes:
      volume_channels, volume_depth: of the volume.
      features: channels of the output.
      compressed_channels: of the volume that the dense motion network looks at.
      hourglass_channels: its base width; doubled by every block, to
        `hourglass_max_channels` at most.
      hourglass_blocks: down, and as many up.
      mask_kernel: taps an axis of the convolution that makes the masks.
      heat_depth: deviation, along the depth from -1 to 1, of the gaussian by which a
        keypoint is seen. 0.1 suits 16 planes; where there are few, most keypoints fall
        between two of them, and it must be wider.
    """

    keypoints: int
    volume_channels: int
    volume_depth: int
    features: int
    compressed_channels: int
    hourglass_channels: int
    hourglass_max_channels: int
    hourglass_blocks: int
    mask_kernel: int = 7
    heat_depth: float = 0.1

    @property
    def motion_channels(self) -> int:
        """Channels that the hourglass reads: a heat map and a moved volume, background
        and each keypoint."""
        return (self.keypoints + 1) * (self.compressed_channels + 1)

    @property
    def hourglass_outputs(self) -> int:
        """Channels of the hourglass's last map: its base width and the skipped
        input."""
        return self.hourglass_channels + self.motion_channels

    @classmethod
    def full(cls) -> Self:
        return cls(21, 32, 16, 256, 4, 32, 1024, 5)

    @classmethod
    def tiny(cls) -> Self:
        return cls(21, 4, 8, 32, 2, 4, 16, 3)


class DenseMotion(NamedTuple):
    """How a volume moves.

    Attributes:
      mask_logits: of which keypoint (or the background, first) each voxel follows.
      deformation: where each voxel of the moved volume is sampled, (x, y, z) in [-1,
        1].
      occlusion: how much of the moved features is seen, 0 to 1.
    """

    mask_logits: Float[Array, "n d h w k+1"]
    deformation: Float[Array, "n d h w 3"]
    occlusion: Float[Array, "n h w 1"]


class Hourglass(nnx.Module):
    """Down and up over height and width, depth kept, each up block followed by its
    skip; the input is the last."""

    def __init__(self, config: WarpingConfig, *, dtype: DTypeLike, rngs: nnx.Rngs):
        blocks, inputs = config.hourglass_blocks, config.motion_channels
        widths = [
            min(config.hourglass_max_channels, config.hourglass_channels * 2**i)
            for i in range(blocks + 1)
        ]
        down_inputs = [inputs, *widths[1:-1]]
        self.downs = nnx.List(
            ConvNorm(down_inputs[i], widths[i + 1], (3, 3, 3), dtype=dtype, rngs=rngs)
            for i in range(blocks)
        )
        self.ups = nnx.List(
            ConvNorm(
                widths[i + 1] * (1 if i == blocks - 1 else 2),
                widths[i],
                (3, 3, 3),
                upsample=2,
                dtype=dtype,
                rngs=rngs,
            )
            for i in reversed(range(blocks))
        )
        outputs = config.hourglass_outputs
        self.last = ConvNorm(outputs, outputs, (3, 3, 3), dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n d h w c"]) -> Float[Array, "n d h w o"]:
        skips = [x]
        for down in self.downs:
            skips.append(mean_pool(nnx.relu(down(skips[-1]))))
        x = skips.pop()
        for up in self.ups:
            x = jnp.concatenate([nnx.relu(up(x)), skips.pop()], axis=-1)
        return nnx.relu(self.last(x))


class DenseMotionNetwork(nnx.Module):
    """Compressed volume, source and driving keypoints -> dense motion."""

    def __init__(
        self, config: WarpingConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        features = config.hourglass_outputs
        self.compress = ConvNorm(
            config.volume_channels,
            config.compressed_channels,
            (1, 1, 1),
            dtype=dtype,
            rngs=rngs,
        )
        self.hourglass = Hourglass(config, dtype=dtype, rngs=rngs)
        self.mask = Conv(
            features,
            config.keypoints + 1,
            (config.mask_kernel,) * 3,
            dtype=dtype,
            rngs=rngs,
        )
        self.occlusion = Conv(
            features * config.volume_depth, 1, (7, 7), dtype=dtype, rngs=rngs
        )
        self.depth, self.planes_first = config.volume_depth, False
        self.heat_depth = config.heat_depth

    def compress_volume(
        self, volume: Float[Array, "n d h w c"]
    ) -> Float[Array, "n d h w e"]:
        """The part of the work that a source needs once."""
        return nnx.relu(self.compress(volume))

    def __call__(
        self,
        compressed: Float[Array, "m d h w e"],
        source: Float[Array, "m k 3"],
        driving: Float[Array, "n k 3"],
        mobility: Float[AnyArray, "m h w"] | None = None,
    ) -> DenseMotion:
        """The motion from `source` to each of `driving`; m = n, or m = 1: one source
        serves every frame.

        Args:
          mobility: by which the motion of each column of voxels is multiplied; by
            default 1.
        """
        shift = source - driving  # where a voxel near a driving keypoint comes from
        with_background = jnp.pad(shift, ((0, 0), (1, 0), (0, 0)))
        prediction = self.hourglass(
            self._sparse_motion(compressed, source, driving, with_background)
        )
        logits = self.mask(prediction).astype(jnp.float32)
        grid = coordinate_grid(*compressed.shape[1:4])
        # The masks sum to one, so the weighted sum of the moved grids is the grid and
        # the weighted shifts.
        masks = jax.nn.softmax(logits, axis=-1)
        moved = jnp.einsum(
            "ndhwk,nkx->ndhwx", masks, with_background, precision=lax.Precision.HIGHEST
        )
        if mobility is not None:
            moved = moved * mobility[:, None, :, :, None]
        return DenseMotion(logits, grid[None] + moved, self._occlude(prediction))

    def _sparse_motion(
        self, compressed: Array, source: Array, driving: Array, with_background: Array
    ) -> Float[Array, "n d h w c"]:
        """For the background and each keypoint: its heat (driving minus source), and
        the volume moved by it."""
        size = compressed.shape[1:4]
        heat = keypoint_gaussians(driving, size, self.heat_depth) - keypoint_gaussians(
            source, size, self.heat_depth
        )
        heat = jnp.pad(heat, ((0, 0), (0, 0), (0, 0), (0, 0), (1, 0))).astype(
            compressed.dtype
        )
        moved = translate_volume(compressed, with_background)
        x = jnp.concatenate([heat[..., None], moved], axis=-1)
        return x.reshape(*x.shape[:4], -1)

    def _occlude(
        self, prediction: Float[Array, "n d h w c"]
    ) -> Float[Array, "n h w 1"]:
        planes = stack_planes(prediction, planes_first=self.planes_first)
        return nnx.sigmoid(self.occlusion(planes).astype(jnp.float32))

    def fold(self) -> None:
        if not self.planes_first:
            put_planes_first(self.occlusion, self.depth)
            self.planes_first = True


def stack_planes(
    volume: Float[Array, "n d h w c"], *, planes_first: bool
) -> Float[Array, "n h w d*c"]:
    """The planes of a volume side by side as channels: those of each channel in turn,
    as published, or whole planes.

    Whole planes are moved in runs of memory, which takes a fraction of the time.
    """
    n, _, height, width, _ = volume.shape
    order = (0, 2, 3, 1, 4) if planes_first else (0, 2, 3, 4, 1)
    return volume.transpose(order).reshape(n, height, width, -1)


def put_planes_first(conv: Conv, depth: int) -> None:
    """Reorder the kernel of a convolution that reads `stack_planes`, for whole
    planes."""
    kernel = conv.kernel[...]
    *taps, inputs, outputs = kernel.shape
    by_channel = kernel.reshape(*taps, inputs // depth, depth, outputs)
    conv.kernel[...] = by_channel.swapaxes(-3, -2).reshape(kernel.shape)
