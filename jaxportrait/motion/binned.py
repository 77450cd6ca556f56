"""The motion of Ditto's network: 265 values a frame, whose angles are logits over bins.

This is the only module that knows which value stands where.

Source: Ditto; LivePortrait, for the bins of its motion extractor.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import (
    BINS,
    EXPRESSION,
    MOTION_SPACES,
    MOTION_WIDTH,
    POSE,
    SCALE,
    TRANSLATION,
)
from jaxportrait.ops.geometry import DEGREES_PER_BIN, FIRST_BIN_DEGREES

BINNED_SCALE = slice(0, 1)
"""Size of the head, minus 1."""
BINNED_ANGLES = (slice(1, 67), slice(67, 133), slice(133, 199))
"""Logits of pitch, yaw and roll."""
BINNED_TRANSLATION = slice(199, 202)
BINNED_EXPRESSION = slice(202, 265)
BINNED_WIDTH = BINNED_EXPRESSION.stop


def degrees_of(logits: Float[np.ndarray, "*n 66"]) -> Float32[np.ndarray, "*n"]:
    """Return the angles of logits: the mean of the bins under their softmax."""
    # The largest logit is subtracted, so that no power overflows.
    wide = np.asarray(logits, np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    shares = powers / powers.sum(axis=-1, keepdims=True)
    angles = DEGREES_PER_BIN * (shares @ np.arange(BINS)) + FIRST_BIN_DEGREES
    return angles.astype(np.float32)


def logits_of(values: Float[np.ndarray, "n 265"]) -> Float32[np.ndarray, "n 3 66"]:
    """Return the logits of pitch, yaw and roll."""
    angles = [values[:, columns] for columns in BINNED_ANGLES]
    return np.stack(angles, axis=1).astype(np.float32)


def unbin_motion(
    values: Float[np.ndarray, "n 265"],
) -> Float32[np.ndarray, "n 70"]:
    """Return the whole frames of the project's layout, with angles in degrees."""
    frames = np.empty((len(values), MOTION_WIDTH), np.float32)
    frames[:, EXPRESSION] = values[:, BINNED_EXPRESSION]
    frames[:, TRANSLATION] = values[:, BINNED_TRANSLATION]
    frames[:, SCALE] = values[:, BINNED_SCALE] + 1
    # From here on angles are angles, wherever they are composed or resampled.
    angles = [degrees_of(values[:, columns]) for columns in BINNED_ANGLES]
    frames[:, POSE] = np.stack(angles, axis=1)
    return frames


def clip_of_binned(values: Float[np.ndarray, "n 265"], fps: float) -> MotionClip:
    """Return a clip of motion, which holds angles and their logits."""
    clip = MotionClip.from_values(unbin_motion(values), MOTION_SPACES["face"], fps)
    return replace(clip, logits=logits_of(values))


def smooth_pose(
    values: Float[np.ndarray, "n 265"], width: int = 3
) -> Float32[np.ndarray, "n 265"]:
    """Return motion whose scale, angles and translation are smoothed.

    Args:
      width: frames of the mean; see `smooth_frames`.
    """
    smoothed = np.array(values, np.float32)
    pose = slice(0, BINNED_EXPRESSION.start)
    smoothed[:, pose] = smooth_frames(values[:, pose], width)
    return smoothed


def smooth_frames(
    values: Float[np.ndarray, "n *d"], width: int
) -> Float32[np.ndarray, "n *d"]:
    """Return the mean over `width` frames around each; fewer at both ends.

    Args:
      width: an odd number; 1 or less changes nothing.
    """
    if width <= 1:
        return np.array(values, np.float32)
    # As many neighbours on either side as there are.
    reach = width // 2
    total = np.zeros(values.shape, np.float32)
    count = np.zeros(len(values), np.float32)
    for offset in range(-reach, reach + 1):
        frames = slice(max(0, -offset), len(values) - max(0, offset))
        neighbours = slice(max(0, offset), len(values) + min(0, offset))
        total[frames] += values[neighbours]
        count[frames] += 1
    # One count a frame, for arrays of any rank.
    return total / np.expand_dims(count, tuple(range(1, values.ndim)))
