"""M, the motion extractor: a face's implicit keypoints, head pose and expression.

Source: LivePortrait (its MotionExtractor).
"""

from dataclasses import dataclass
from typing import Self

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.models.convnextv2 import ConvNeXtV2
from jaxportrait.ops.geometry import expected_degrees
from jaxportrait.types import Motion


@dataclass(frozen=True)
class MotionConfig:
    """Motion extractor M, a ConvNeXt V2: picture -> keypoints, pose, expression.

    Attributes:
      depths, widths: blocks and channels of its stages.
      keypoints: implicit 3-D keypoints.
      pose_bins: over which each angle is predicted.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    keypoints: int = 21
    pose_bins: int = 66

    @classmethod
    def full(cls) -> Self:
        return cls((3, 3, 9, 3), (96, 192, 384, 768))

    @classmethod
    def tiny(cls) -> Self:
        return cls((1, 1, 2, 1), (8, 16, 24, 32))


class MotionExtractor(nnx.Module):
    """Picture -> motion, by one linear head an output on a common backbone."""

    def __init__(
        self, config: MotionConfig, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
    ):
        def head(outputs: int, bias: float = 0.0) -> nnx.Linear:
            bias_init = nnx.initializers.constant(bias)
            return nnx.Linear(
                config.widths[-1], outputs, bias_init=bias_init, dtype=dtype, rngs=rngs
            )

        self.config = config
        self.backbone = ConvNeXtV2(config.depths, config.widths, dtype=dtype, rngs=rngs)
        self.keypoints = head(3 * config.keypoints)
        self.expression = head(3 * config.keypoints)
        self.pitch, self.yaw, self.roll = (head(config.pose_bins) for _ in range(3))
        self.translation = head(3)
        self.scale = head(1, bias=1.0)  # heads begin at their natural size

    def __call__(self, image: Float[Array, "n h w 3"]) -> Motion:
        """The motion of `image` (values from 0 to 1), in float32."""
        features = self.backbone(image)

        def points(head: nnx.Linear) -> Float[Array, "n k 3"]:
            return (
                head(features).astype(jnp.float32).reshape(-1, self.config.keypoints, 3)
            )

        angles = [
            expected_degrees(head(features))
            for head in (self.pitch, self.yaw, self.roll)
        ]
        return Motion(
            keypoints=points(self.keypoints),
            expression=points(self.expression),
            pose=jnp.stack(angles, axis=-1),
            translation=self.translation(features).astype(jnp.float32),
            scale=self.scale(features).astype(jnp.float32),
        )
