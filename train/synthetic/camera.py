"""From a head's own coordinates to pixels.

Coordinates of the head: x to the right of the picture, y down, z towards the viewer;
the middle between the eyes is (0, 0) and the bottom of the chin is at y = 1, so that
the unit is about 12 cm.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PIVOT = np.array([0.0, 0.75, -0.1])
"""What the head turns about: where the neck holds it."""
DISTANCE = 9.0  # units from the camera: as for a portrait lens
UNIT = 0.335  # of the picture's side, at scale 1
CENTER = (
    0.5,
    0.44,
)  # of the picture: where the middle between the eyes of a head at rest is seen


@dataclass(frozen=True)
class Pose:
    """How a head is held in one frame.

    Attributes:
      angles: pitch, yaw and roll in degrees; positive pitch looks up, yaw to the right
        of the picture, and roll leans clockwise.
      translation: to the right and down, in parts of the picture's side.
      scale: of the picture.
    """

    angles: tuple[float, float, float]
    translation: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    @property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Rz Ry Rx, for column vectors: the transpose of what LivePortrait applies to
        rows."""
        return rotation_matrix(self.angles)


def rotation_matrix(angles: tuple[float, float, float]) -> Float[np.ndarray, "3 3"]:
    """Rz Ry Rx of pitch, yaw and roll in degrees."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def turn(
    points: Float[np.ndarray, "... 3"], rotation: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "... 3"]:
    """Rotate points of the head about its pivot."""
    return (points - PIVOT) @ rotation.T + PIVOT


def project(
    points: Float[np.ndarray, "... 3"], pose: Pose, size: int
) -> Float[np.ndarray, "... 2"]:
    """Pixels at which points, already turned, are seen; integers are centres of
    pixels."""
    nearness = DISTANCE / (DISTANCE - points[..., 2:])
    unit = UNIT * size * pose.scale
    middle = (np.array(CENTER) + pose.translation) * size - 0.5
    return points[..., :2] * nearness * unit + middle
