"""The layout of a frame's motion: the only module that knows which value stands where.

A frame of motion has 70 values: the expression of 21 keypoints (x, y, z each), pitch,
yaw and roll in degrees, the translation (x, y, z) and the scale. A motion space is a
choice of these values, such as those that a flow transformer makes.

Source: LivePortrait (its motion extractor's outputs and its regions of keypoints).
"""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32

from jaxportrait.types import AnyArray, Motion, pytree

KEYPOINTS = 21
BINS = 66
"""Bins over which LivePortrait's motion extractor predicts an angle."""
MOTION_FPS = 30
"""Frames a second of the motion that is stored for training, and so of the motion that
the flow transformer makes. Other motion has the rate of its clip."""

# Slices of a frame; every other offset is derived from them.
EXPRESSION = slice(0, 3 * KEYPOINTS)
POSE = slice(EXPRESSION.stop, EXPRESSION.stop + 3)
TRANSLATION = slice(POSE.stop, POSE.stop + 3)
SCALE = slice(TRANSLATION.stop, TRANSLATION.stop + 1)
MOTION_WIDTH = SCALE.stop

POSE_NAMES = ("pitch", "yaw", "roll")
TRANSLATION_NAMES = ("translation x", "translation y", "translation z")

LIP_KEYPOINTS = (6, 12, 14, 17, 19, 20)
REGIONS = {
    "lips": LIP_KEYPOINTS,
    "eyes": (11, 13, 15, 16, 18),
    "brows": (1, 2),
}
"""Region of the face -> its keypoints, of networks with LivePortrait's keypoints."""


@dataclass(frozen=True)
class KeypointGroups:
    """The keypoints of the eyes, the brows and the lips.

    A motion extractor decides which keypoint lies where, so these belong to its
    checkpoint. The defaults are LivePortrait's.
    """

    eyes: tuple[int, ...] = REGIONS["eyes"]
    brows: tuple[int, ...] = REGIONS["brows"]
    lips: tuple[int, ...] = REGIONS["lips"]

    def __post_init__(self) -> None:
        for keypoint in (*self.eyes, *self.brows, *self.lips):
            if not 0 <= keypoint < KEYPOINTS:
                raise ValueError(
                    f"keypoint {keypoint} does not exist: choose from 0 to {KEYPOINTS - 1}"
                )


PUBLISHED_GROUPS = KeypointGroups()
"""Those of LivePortrait's keypoints."""

Region = Literal["all", "expression", "pose", "lips", "eyes"]
"""Parts of a face that motion can be limited to."""

ABSOLUTE_KEYPOINTS = (1, 2, 6, *range(11, 21))
ABSOLUTE_AXES = {3: "y", 4: "y", 5: "z", 8: "z", 9: "yz"}
"""Expression that can be taken from another face as it is: these keypoints whole, and
these axes of others. What is left out holds the shape of a face.

Source: LivePortrait, its motion that is not relative.
"""


def region_mask(
    region: Region, groups: KeypointGroups, *, shape: bool
) -> Bool[np.ndarray, "k 3"]:
    """Return which values of an expression a region has.

    Args:
      groups: the keypoints of eyes, brows and lips.
      shape: include the values that hold the shape of a face. Which these are is known
        only of LivePortrait's keypoints; networks with others have all.
    """
    mask = np.zeros((KEYPOINTS, 3), bool)
    if region == "lips":
        mask[list(groups.lips)] = True
    elif region == "eyes":
        mask[list(groups.eyes)] = True
    # The pose has no expression: its mask stays empty.
    elif region != "pose":
        published = groups == PUBLISHED_GROUPS
        mask[:] = _absolute_mask() if published and not shape else True
    return mask


def _absolute_mask() -> Bool[np.ndarray, "k 3"]:
    mask = np.zeros((KEYPOINTS, 3), bool)
    mask[list(ABSOLUTE_KEYPOINTS)] = True
    for keypoint, axes in ABSOLUTE_AXES.items():
        mask[keypoint, ["xyz".index(axis) for axis in axes]] = True
    return mask


def expression_columns(keypoints: tuple[int, ...]) -> tuple[int, ...]:
    """Return the columns of these keypoints' expression, in their order."""
    return tuple(3 * keypoint + axis for keypoint in keypoints for axis in range(3))


def columns_of(values: slice) -> range:
    """Return the columns of a slice of a frame, such as `POSE`."""
    return range(values.start, values.stop)


def value_name(column: int) -> str:
    """Return the name of the value in `column` of a frame, such as "expression 6 y"."""
    if column < EXPRESSION.stop:
        return f"expression {column // 3} {'xyz'[column % 3]}"
    names = (*POSE_NAMES, *TRANSLATION_NAMES, "scale")
    return names[column - EXPRESSION.stop]


def neutral_frames(count: int) -> Float32[np.ndarray, "n 70"]:
    """Return motion that changes nothing: all values 0, the scale 1."""
    frames = np.zeros((count, MOTION_WIDTH), np.float32)
    frames[:, SCALE] = 1.0
    return frames


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
        return self.covers(POSE)

    def covers(self, values: slice) -> bool:
        """Return whether all values of a slice, such as `POSE`, are in the space."""
        return set(columns_of(values)) <= set(self.columns)

    @property
    def pose(self) -> Bool[np.ndarray, " d"]:
        """Mask of the space's values that are pitch, yaw and roll."""
        columns = np.array(self.columns)
        return (columns >= POSE.start) & (columns < POSE.stop)

    @property
    def expression(self) -> Bool[np.ndarray, " d"]:
        """Mask of the space's values that belong to the expression."""
        return np.array(self.columns) < EXPRESSION.stop

    def select(self, frames: Float[AnyArray, "*n 70"]) -> Float[AnyArray, "*n d"]:
        """Return the space's values of whole frames."""
        return frames[..., np.array(self.columns)]

    def locate(self, columns: tuple[int, ...]) -> list[int]:
        """Return where these columns of a whole frame stand within the space."""
        return [self.columns.index(column) for column in columns]

    def complete(
        self, values: Float32[np.ndarray, "n d"]
    ) -> Float32[np.ndarray, "n 70"]:
        """Return whole frames; values outside the space are neutral."""
        frames = neutral_frames(len(values))
        frames[:, list(self.columns)] = values
        return frames


MOTION_SPACES = {
    "lip": MotionSpace(expression_columns(LIP_KEYPOINTS)),
    "face": MotionSpace(tuple(range(MOTION_WIDTH))),
    "joyvasa": MotionSpace(
        (
            *columns_of(EXPRESSION),
            *columns_of(SCALE),
            *columns_of(TRANSLATION),
            *columns_of(POSE),
        )
    ),
}
"""`lip` is the published space of the flow transformer: the expression of the lip
keypoints. `face` has head motion and blinks too, and so has `joyvasa`, in JoyVASA's
order."""


def pack(motion: Motion) -> Float32[np.ndarray, "n 70"]:
    """Return the values of each frame side by side, on the host."""
    count = len(motion.scale)
    # (n, 21, 3) becomes (n, 63); every other output has a row a frame already.
    frames = np.empty((count, MOTION_WIDTH), np.float32)
    frames[:, EXPRESSION] = np.reshape(motion.expression, (count, -1))
    frames[:, POSE] = motion.pose
    frames[:, TRANSLATION] = motion.translation
    frames[:, SCALE] = motion.scale
    return frames


@pytree
@dataclass(frozen=True)
class MotionStatistics:
    """Mean and deviation of a motion space, by which its values are normalised."""

    mean: Float[AnyArray, " d"]
    std: Float[AnyArray, " d"]


def normalize(
    values: Float32[np.ndarray, "n d"], statistics: MotionStatistics
) -> Float32[np.ndarray, "n d"]:
    """Return a space's values as a network reads them: mean 0, deviation 1.

    A value that never changes (deviation 0) stays 0.
    """
    mean = np.asarray(statistics.mean)
    # A divisor of 1 leaves a constant value at 0.
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
