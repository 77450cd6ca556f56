"""Blinks in motion: a direction learnt from how the eyes of the training set move."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxportrait.motion.space import MotionSpace, expression_columns
from train.data.records import ClipRecord

SHUT_QUANTILE = 0.995
"""Share of frames in which eyes are less shut than in a blink: people blink about 17
times a minute, and lids are shut for a few frames of each.

Source: Bentivoglio et al., "Analysis of blink rate patterns in normal subjects", 1997.
"""


@dataclass(frozen=True)
class LidAxis:
    """The direction in which lids move, pointing to where they are shut.

    Attributes:
      columns: columns of a frame that hold the expression of the eyes.
      axis: direction, of unit length.
      shut: position on the axis of lids that are shut, from the clip's median.
    """

    columns: tuple[int, ...]
    axis: Float[np.ndarray, " e"]
    shut: float

    def closing(
        self, motion: Float[np.ndarray, "frames d"], space: MotionSpace
    ) -> Float[np.ndarray, " frames"]:
        """Return how far the lids are shut in each frame of a space that has them: 0 at
        the clip's median, 1 in a blink."""
        position = motion[:, space.locate(self.columns)] @ self.axis
        return (position - np.median(position)) / self.shut


def learn_lid_axis(clips: Iterable[ClipRecord], eyes: Sequence[int]) -> LidAxis | None:
    """Return the direction in which the eyes move fastest, signed by its skewness: lids
    are open most of the time, and shut briefly.

    Velocities are used, since gaze and brows move more, and slower. None where the eyes
    rest.

    Args:
      eyes: keypoints of the eyes.
    """
    columns = expression_columns(tuple(eyes))
    positions = [_positions(clip, columns) for clip in clips]
    steps = np.concatenate([np.diff(position, axis=0) for position in positions])
    # eigenvalues ascend, so the last vector is the first principal axis
    values, vectors = np.linalg.eigh(steps.T @ steps)
    if values[-1] <= 0:
        return None
    axis = vectors[:, -1]
    lids = np.concatenate([position @ axis for position in positions])
    if np.mean(lids**3) < 0:
        axis, lids = -axis, -lids
    shut = float(np.quantile(lids, SHUT_QUANTILE))
    return LidAxis(columns, axis, shut) if shut > 0 else None


def _positions(
    clip: ClipRecord, columns: tuple[int, ...]
) -> Float[np.ndarray, "frames e"]:
    """Return the expression of a clip's eyes from its median, which is that of open
    eyes."""
    eyes = clip.motion[:, list(columns)].astype(np.float64)
    return eyes - np.median(eyes, axis=0)
