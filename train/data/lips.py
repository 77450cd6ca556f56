"""Lip opening: one number a frame, learnt from how the lips of the training set
move."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxportrait.motion.space import MOTION_SPACES, MotionSpace
from train.data.records import ClipRecord

LIPS = MOTION_SPACES["lip"].columns


@dataclass(frozen=True)
class LipAxis:
    """The direction in which lips move most, pointing to where they are with sound.

    Attributes:
      mean: mean expression of the lips.
      axis: direction, of unit length.
      gain: opening by loudness, the slope of their regression within clips.
    """

    mean: Float[np.ndarray, "18"]
    axis: Float[np.ndarray, "18"]
    gain: float

    def opening(
        self, motion: Float[np.ndarray, "frames d"], space: MotionSpace
    ) -> Float[np.ndarray, " frames"]:
        """Return how far the lips are open in each frame of a space that has them."""
        return (motion[:, space.locate(LIPS)] - self.mean) @ self.axis


def learn_lip_axis(clips: Iterable[ClipRecord]) -> LipAxis:
    """Return the first principal axis of lip expression, signed by its correlation with
    the loudness.

    Each clip is centred on its own mean, so that the axis is that of speech and not of
    the speakers.
    """
    width = len(LIPS)
    total = np.zeros(width)
    scatter = np.zeros((width, width))
    with_sound = np.zeros(width)
    sound = 0.0
    frames = 0
    for clip in clips:
        # float64: sums over millions of frames
        lips = clip.motion[:, list(LIPS)].astype(np.float64)
        total += lips.sum(axis=0)
        frames += len(lips)
        lips -= lips.mean(axis=0)
        scatter += lips.T @ lips
        loudness = clip.envelope - clip.envelope.mean(dtype=np.float64)
        with_sound += lips.T @ loudness
        sound += loudness @ loudness
    # eigenvalues ascend, so the last vector is the first principal axis
    axis = np.linalg.eigh(scatter)[1][:, -1]
    if axis @ with_sound < 0:
        axis = -axis
    # silent clips say nothing about the gain
    gain = float(axis @ with_sound / sound) if sound else 0.0
    return LipAxis(total / frames, axis, gain)
