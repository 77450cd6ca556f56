"""The layout of a frame's motion: the only module that knows which value stands where.

A frame of motion has 70 values: the expression of 21 keypoints (x, y, z each), pitch,
yaw and roll in degrees, the translation (x, y, z) and the scale. A motion space is a
choice of these values, and what a flow transformer makes.

Source: LivePortrait (its motion extractor's outputs and its lip and eye keypoints).
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32

from jaxportrait.types import AnyArray, Motion, MotionStatistics

KEYPOINTS = 21
MOTION_FPS = 30
"""Frames a second of the motion that is stored for training."""

EXPRESSION = slice(0, 3 * KEYPOINTS)
POSE = slice(EXPRESSION.stop, EXPRESSION.stop + 3)
TRANSLATION = slice(POSE.stop, POSE.stop + 3)
SCALE = slice(TRANSLATION.stop, TRANSLATION.stop + 1)
MOTION_WIDTH = SCALE.stop

POSE_NAMES = ("pitch", "yaw", "roll")
TRANSLATION_NAMES = ("translation x", "translation y", "translation z")

LIP_KEYPOINTS = (6, 12, 14, 17, 19, 20)
EYE_KEYPOINTS = (11, 13, 15, 16, 18)
BROW_KEYPOINTS = (1, 2)


def expression_columns(keypoints: tuple[int, ...]) -> tuple[int, ...]:
    """Return the columns of these keypoints' expression, in their order."""
    return tuple(3 * keypoint + axis for keypoint in keypoints for axis in range(3))


def value_name(column: int) -> str:
    """Return what the value in `column` of a frame is, such as "expression 6 y"."""
    if column < EXPRESSION.stop:
        return f"expression {column // 3} {'xyz'[column % 3]}"
    names = (*POSE_NAMES, *TRANSLATION_NAMES, "scale")
    return names[column - EXPRESSION.stop]


def neutral_frame() -> Float32[np.ndarray, "70"]:
    """Return the motion that changes nothing: all values 0, the scale 1."""
    frame = np.zeros(MOTION_WIDTH, np.float32)
    frame[SCALE] = 1.0
    return frame


@dataclass(frozen=True)
class MotionSpace:
    """A choice of a frame's values.

    Attributes:
      columns: positions among the 70 values of a frame.
    """

    columns: tuple[int, ...]

    @property
    def width(self) -> int:
        return len(self.columns)

    @property
    def has_pose(self) -> bool:
        pose = set(range(POSE.start, POSE.stop))
        return pose <= set(self.columns)

    @property
    def pose(self) -> Bool[np.ndarray, " d"]:
        """Which of the space's values are pitch, yaw and roll."""
        columns = np.array(self.columns)
        return (columns >= POSE.start) & (columns < POSE.stop)

    @property
    def expression(self) -> Bool[np.ndarray, " d"]:
        """Which of the space's values belong to the expression."""
        return np.array(self.columns) < EXPRESSION.stop

    def select(self, frames: Float[AnyArray, "*n 70"]) -> Float[AnyArray, "*n d"]:
        """Return the space's values of whole frames."""
        return frames[..., np.array(self.columns)]

    def locate(self, columns: tuple[int, ...]) -> list[int]:
        """Return where these columns of a whole frame stand within the space."""
        return [self.columns.index(column) for column in columns]

    def complete(self, values: Float[Array, "n d"]) -> Float[Array, "n 70"]:
        """Return whole frames; values outside the space are neutral."""
        neutral = jnp.asarray(neutral_frame())[None]
        frames = jnp.broadcast_to(neutral, (values.shape[0], MOTION_WIDTH))
        return frames.at[:, np.array(self.columns)].set(values)


MOTION_SPACES = {
    "lip": MotionSpace(expression_columns(LIP_KEYPOINTS)),
    "face": MotionSpace(tuple(range(MOTION_WIDTH))),
}
"""`lip` is the published space: the expression of the lip keypoints. `face` has head
motion and blinks too."""


def pack(motion: Motion) -> Float32[np.ndarray, "n 70"]:
    """Return the values of each frame side by side, on the host."""
    count = len(motion.scale)
    frames = np.empty((count, MOTION_WIDTH), np.float32)
    frames[:, EXPRESSION] = np.reshape(motion.expression, (count, -1))
    frames[:, POSE] = motion.pose
    frames[:, TRANSLATION] = motion.translation
    frames[:, SCALE] = motion.scale
    return frames


def unpack(frames: Float[Array, "n 70"]) -> Motion:
    """Return whole frames as a `Motion` whose canonical keypoints are zero."""
    expression = frames[:, EXPRESSION].reshape(-1, KEYPOINTS, 3)
    return Motion(
        keypoints=jnp.zeros_like(expression),
        expression=expression,
        pose=frames[:, POSE],
        translation=frames[:, TRANSLATION],
        scale=frames[:, SCALE],
    )


def normalize(
    values: Float32[np.ndarray, "n d"], statistics: MotionStatistics
) -> Float32[np.ndarray, "n d"]:
    """Return a space's values as a network reads them: mean 0, deviation 1.

    A value that never changes (deviation 0) stays 0.
    """
    mean = np.asarray(statistics.mean)
    deviation = np.asarray(statistics.std)
    divisor = np.where(deviation > 0, deviation, 1)
    return np.asarray((values - mean) / divisor, np.float32)


def denormalize(
    values: Float[Array, "n d"], statistics: MotionStatistics
) -> Float[Array, "n d"]:
    """Return a network's values in the motion space's own units."""
    return (
        values * jnp.asarray(statistics.std)[None] + jnp.asarray(statistics.mean)[None]
    )
