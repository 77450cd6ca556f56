"""Openness of the eyes and the position of the irises in space, from a face mesh with
irises, as Ditto's network reads them.

Source: Ditto, its attributes of eyes.
"""

from itertools import chain
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxportrait.media.faces.mesh_points import LEFT_CORNERS, RIGHT_CORNERS

MESH_POINTS = 478
"""Points of MediaPipe's face mesh with irises."""
EPSILON = 1e-8
"""Keeps eyes without any width from dividing by zero."""


class EyePoints(NamedTuple):
    """Points of the mesh at one eye.

    Attributes:
      outer, inner: corners.
      lids: pairs of a point below and above.
      iris: centre of the iris.
    """

    outer: int
    inner: int
    lids: tuple[tuple[int, int], ...]
    iris: int


LEFT = EyePoints(33, 133, ((145, 159), (144, 160), (153, 158)), 468)
RIGHT = EyePoints(263, 362, ((374, 386), (373, 387), (380, 385)), 473)


def add_irises(
    mesh: Float[np.ndarray, "468 2"],
    depths: Float[np.ndarray, " 468"],
    gaze: Float[np.ndarray, "2 2"],
) -> Float[np.ndarray, "478 3"]:
    """Return a mesh with the centres of the irises; their other points stay 0.

    Args:
      mesh: points of a face.
      depths: their depths in the same unit.
      gaze: place of each iris in its eye; see `Face.gaze`.
    """
    solid = np.zeros((MESH_POINTS, 3))
    solid[: len(mesh), :2] = mesh
    solid[: len(mesh), 2] = depths
    for eye, corners, (x, y) in zip(
        (LEFT, RIGHT), (LEFT_CORNERS, RIGHT_CORNERS), gaze, strict=True
    ):
        left, right = mesh[list(corners)]
        across = right - left
        down = np.array([-across[1], across[0]])
        solid[eye.iris, :2] = (left + right) / 2 + x * across + y * down
        # An iris is as deep as the eye around it.
        around = [*corners, *chain.from_iterable(eye.lids)]
        solid[eye.iris, 2] = depths[around].mean()
    return solid


def eye_openness(
    mesh: Float[np.ndarray, "n 478 3"],
) -> Float[np.ndarray, "n 2"]:
    """Return the openness of the left and the right eye: heights in widths.

    Args:
      mesh: x, y and depth of points in widths, heights and widths of the crop.
    """
    return np.stack([_openness(mesh, eye) for eye in (LEFT, RIGHT)], axis=1)


def eyeball_offsets(
    mesh: Float[np.ndarray, "n 478 3"],
) -> Float[np.ndarray, "n 6"]:
    """Return the positions of the irises: x, y and z, each of the left and the right.

    Args:
      mesh: see `eye_openness`.
    """
    offsets = np.stack([_offset(mesh, eye) for eye in (LEFT, RIGHT)], axis=-1)
    # (n, 3, 2) -> (n, 6)
    return offsets.reshape(len(mesh), -1)


def _openness(
    mesh: Float[np.ndarray, "n 478 3"], eye: EyePoints
) -> Float[np.ndarray, " n"]:
    width = _norm(mesh[:, eye.outer] - mesh[:, eye.inner])
    heights = [_norm(mesh[:, below] - mesh[:, above]) for below, above in eye.lids]
    return np.sum(heights, axis=0) / (width + EPSILON)


def _offset(
    mesh: Float[np.ndarray, "n 478 3"], eye: EyePoints
) -> Float[np.ndarray, "n 3"]:
    outer = mesh[:, eye.outer]
    inner = mesh[:, eye.inner]
    # The centre of the eye is halfway between its corners.
    from_centre = mesh[:, eye.iris] - (outer + inner) / 2
    direction = _unit(from_centre) - _unit(outer - inner)
    return direction * _norm(from_centre)[:, None]


def _unit(vector: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return vector / (_norm(vector)[:, None] + EPSILON)


def _norm(vector: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    return np.linalg.norm(vector, axis=-1)
