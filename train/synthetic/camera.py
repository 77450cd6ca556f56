"""From a head's own coordinates to pixels.

Coordinates of the head: x points to the right of the picture, y down, z towards the
viewer. The middle between the eyes is (0, 0), and the bottom of the chin is at y = 1,
so that one unit is about 12 cm.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, "3"]
"""A point or direction: x, y, z."""
Rotation = Float[np.ndarray, "3 3"]
"""A rotation matrix for column vectors."""
PIVOT = np.array([0.0, 0.75, -0.1])
"""Point about which the head turns: the top of the neck."""
DISTANCE = 9.0
"""Units from the camera to the head: those of a portrait lens."""
UNIT = 0.335
"""Length of a unit at scale 1, as a share of the picture's side."""
CENTER = (0.5, 0.44)
"""Place of the middle between the eyes at rest, as shares of the picture's side."""


@dataclass(frozen=True)
class Pose:
    """Position of a head in one frame.

    Attributes:
      angles: pitch, yaw and roll in degrees; positive pitch looks up, positive yaw to
        the right of the picture, and positive roll leans clockwise.
      translation: to the right and down, as shares of the picture's side.
      scale: factor of the head's size in the picture.
    """

    angles: tuple[float, float, float]
    translation: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    @property
    def rotation(self) -> Rotation:
        """Rz Ry Rx, for column vectors.

        LivePortrait applies the transpose to rows.
        """
        return rotation_matrix(self.angles)


def rotation_matrix(angles: tuple[float, float, float]) -> Rotation:
    """Return Rz Ry Rx of pitch, yaw and roll in degrees."""
    radians = np.radians(angles)
    cx, cy, cz = np.cos(radians)
    sx, sy, sz = np.sin(radians)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def turn(
    points: Float[np.ndarray, "... 3"], rotation: Rotation
) -> Float[np.ndarray, "... 3"]:
    """Rotate points of the head about its pivot."""
    # Points are rows, so the matrix is transposed.
    return (points - PIVOT) @ rotation.T + PIVOT


def project(
    points: Float[np.ndarray, "... 3"], pose: Pose, size: int
) -> Float[np.ndarray, "... 2"]:
    """Return the pixels at which points appear; integers are centres of pixels.

    Args:
      points: points of the head that are already turned.
      size: side of the square picture, in pixels.
    """
    # Perspective: points nearer to the camera lie farther from the middle.
    nearness = DISTANCE / (DISTANCE - points[..., 2:])
    unit = UNIT * size * pose.scale
    # The picture's left border lies at -0.5.
    middle = (np.array(CENTER) + pose.translation) * size - 0.5
    return points[..., :2] * nearness * unit + middle
