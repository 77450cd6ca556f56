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
    """The direction in which lips move most, pointing to where they are when there is
    sound.

    Attributes:
      mean: expression of the lips, about which they move.
      axis: of unit length.
    """

    mean: Float[np.ndarray, "18"]
    axis: Float[np.ndarray, "18"]

    def opening(
        self, motion: Float[np.ndarray, "frames d"], space: MotionSpace
    ) -> Float[np.ndarray, " frames"]:
        """How far the lips are open in each frame of a motion space that has them."""
        columns = [space.columns.index(column) for column in LIPS]
        return (motion[:, columns] - self.mean) @ self.axis


def learn_lip_axis(clips: Iterable[ClipRecord]) -> LipAxis:
    """The first principal axis of lip expression, signed by its correlation with the
    loudness.

    Each clip is taken about its own mean, so that the axis is of speech and not of who
    speaks.
    """
    means, scatter, with_sound, frames = (
        np.zeros(len(LIPS)),
        np.zeros((len(LIPS), len(LIPS))),
        np.zeros(len(LIPS)),
        0,
    )
    for clip in clips:
        lips = clip.motion[:, list(LIPS)].astype(np.float64)
        means += lips.sum(axis=0)
        frames += len(lips)
        lips -= lips.mean(axis=0)
        scatter += lips.T @ lips
        with_sound += lips.T @ (clip.envelope - clip.envelope.mean())
    axis = np.linalg.eigh(scatter)[1][:, -1]
    return LipAxis(means / frames, axis if axis @ with_sound >= 0 else -axis)
