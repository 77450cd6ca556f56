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
from jaxportrait.motion.space import BINS, KEYPOINTS
from jaxportrait.ops.geometry import expected_degrees
from jaxportrait.ranges import Blocks, Width, check_ranges
from jaxportrait.types import Motion


@dataclass(frozen=True)
class MotionConfig:
    """Sizes of the motion extractor M: picture -> keypoints, pose, expression.

    Attributes:
      depths: blocks of each stage of the ConvNeXt V2.
      widths: channels of each stage.
      keypoints: implicit 3-D keypoints.
      pose_bins: bins over which each angle is predicted.
    """

    depths: tuple[Blocks, ...]
    widths: tuple[Width, ...]
    keypoints: int = KEYPOINTS
    pose_bins: Width = BINS

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.depths or len(self.depths) != len(self.widths):
            raise ValueError(
                f"depths are {self.depths} and widths {self.widths}: each stage has one of both"
            )
        if self.keypoints != KEYPOINTS:
            raise ValueError(
                f"keypoints is {self.keypoints}: a frame of motion has {KEYPOINTS}"
            )

    @classmethod
    def full(cls) -> Self:
        # ConvNeXt V2 "tiny", as published.
        return cls((3, 3, 9, 3), (96, 192, 384, 768))

    @classmethod
    def tiny(cls) -> Self:
        return cls((1, 1, 2, 1), (8, 16, 24, 32))


class MotionExtractor(nnx.Module):
    """Picture -> motion, by a linear head for each output on one backbone."""

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
        # Canonical keypoints, in the pose and expression of a neutral frontal face.
        self.keypoints = head(3 * config.keypoints)
        self.expression = head(3 * config.keypoints)
        # Angles are classified into bins, not regressed.
        self.pitch = head(config.pose_bins)
        self.yaw = head(config.pose_bins)
        self.roll = head(config.pose_bins)
        self.translation = head(3)
        self.scale = head(1, bias=1.0)  # a fresh network leaves the size as it is

    def __call__(self, image: Float[Array, "n h w 3"]) -> Motion:
        """Compute the motion of `image`, with values from 0 to 1, in float32."""
        features = self.backbone(image)

        def points(head: nnx.Linear) -> Float[Array, "n k 3"]:
            values = head(features).astype(jnp.float32)
            return values.reshape(-1, self.config.keypoints, 3)

        # The angle is the expectation over its bins, in degrees.
        heads = (self.pitch, self.yaw, self.roll)
        logits = [head(features).astype(jnp.float32) for head in heads]
        angles = [expected_degrees(bins) for bins in logits]
        return Motion(
            keypoints=points(self.keypoints),
            expression=points(self.expression),
            pose=jnp.stack(angles, axis=-1),
            translation=self.translation(features).astype(jnp.float32),
            scale=self.scale(features).astype(jnp.float32),
            logits=jnp.stack(logits, axis=1),
        )
