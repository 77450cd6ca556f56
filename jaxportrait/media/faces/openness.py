"""Openness of eyes and lips: height over width, from the landmarks of a face."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.ops.curves import interpolate_rows

LEAST_READINGS = 0.5
"""Share of a clip's frames whose landmarks must tell openness; it's interpolated over
the others."""
EPSILON = 1e-6
"""Keeps the ratio of a face without width finite. Source: LivePortrait."""


@dataclass(frozen=True)
class Openness:
    """Openness of eyes and lips, as LivePortrait's retargeting networks read it.

    Attributes:
      eyes: the picture's left and right eye.
      lips: the inner lips.
    """

    eyes: tuple[float, float]
    lips: float

    @property
    def row(self) -> Float32[np.ndarray, "1 3"]:
        """Openness of the left eye, the right eye and the lips."""
        return np.array([[*self.eyes, self.lips]], np.float32)


@dataclass(frozen=True)
class OpenPoints:
    """The landmarks that tell openness.

    Attributes:
      left_eye, right_eye, lips: middle above, middle below, and both corners.
      scale: factor that turns the ratio into that of LivePortrait's 203 points.
    """

    left_eye: tuple[int, int, int, int]
    right_eye: tuple[int, int, int, int]
    lips: tuple[int, int, int, int]
    scale: float = 1.0


OPEN_POINTS = {
    # Source: LivePortrait, `calc_eye_close_ratio` and `calc_lip_close_ratio`.
    203: OpenPoints((6, 18, 0, 12), (30, 42, 24, 36), (90, 102, 48, 66)),
    # The face mesh. Its scale is not measured: that takes LivePortrait's landmark file.
    468: OpenPoints((159, 145, 33, 133), (386, 374, 362, 263), (13, 14, 78, 308)),
}
"""Number of landmarks -> those that tell openness."""


def openness_of(points: Float[np.ndarray, "k 2"]) -> Openness | None:
    """Return the openness of eyes and lips; None for landmarks that do not tell it.

    Args:
      points: landmarks in pixels; 203 or 468 of them tell openness.
    """
    parts = OPEN_POINTS.get(len(points))
    if parts is None:
        return None
    left = parts.scale * _ratio(points, parts.left_eye)
    right = parts.scale * _ratio(points, parts.right_eye)
    return Openness((left, right), parts.scale * _ratio(points, parts.lips))


def fill_openness(
    readings: Sequence[Openness | None],
) -> Float32[np.ndarray, "frames 3"] | None:
    """Return the openness of the left eye, the right eye and the lips in every frame of
    a clip; None where too few frames tell it.

    Args:
      readings: openness in each frame; None in frames that do not tell it.
    """
    frames = []
    rows = []
    for frame, reading in enumerate(readings):
        if reading is not None:
            frames.append(frame)
            rows.append((*reading.eyes, reading.lips))
    # One reading at least, to interpolate from.
    if len(rows) < max(1, LEAST_READINGS * len(readings)):
        return None
    every = np.arange(len(readings))
    return interpolate_rows(every, frames, np.array(rows)).astype(np.float32)


def _ratio(
    points: Float[np.ndarray, "k 2"], indices: tuple[int, int, int, int]
) -> float:
    above, below, first, last = points[list(indices)]
    height = np.linalg.norm(above - below)
    width = np.linalg.norm(first - last)
    return float(height / (width + EPSILON))
