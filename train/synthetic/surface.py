"""Surfaces: grids of points with what is painted on them."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Float32, Int

TINY = 1e-7  # length of a normal that says nothing


class Material(IntEnum):
    """What a surface is made of; decides how it is shaded."""

    FACE = 0
    EAR = 1
    HAIR = 2
    BODY = 3
    FRAME = 4


@dataclass(frozen=True)
class Surface:
    """A grid of points, seen from the side from which rows x columns turn clockwise, or
    from both.

    Attributes:
      points: of the grid.
      paint: coordinates by which colours are looked up; the material knows their
        meaning.
      material: of the whole of it.
      two_sided: whether its back is drawn, too.
    """

    points: Float[np.ndarray, "r c 3"]
    paint: Float[np.ndarray, "r c 4"]
    material: Material
    two_sided: bool = False


def normals_of(points: Float[np.ndarray, "r c 3"]) -> Float[np.ndarray, "r c 3"]:
    """Unit normals of a grid, pointing to where its rows x columns turn clockwise."""
    down = np.gradient(points, axis=0)
    right = np.gradient(points, axis=1)
    normals = np.cross(right, down)
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / np.maximum(lengths, TINY)
    for end, beside in (
        (0, 1),
        (-1, -2),
    ):  # a row that is a single point has no direction of its own
        normals[end] = np.where(lengths[end] > TINY, normals[end], normals[beside])
    return normals


def triangles_of(rows: int, columns: int) -> Int[np.ndarray, "t 3"]:
    """Indices of the corners of a grid's triangles, two a cell."""
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    return np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )


def sphere(
    rows: int, columns: int
) -> tuple[Float[np.ndarray, "2 r c"], Float[np.ndarray, "3 r c"]]:
    """Angles from the top and around the vertical axis, and x, y, z of a unit sphere
    there."""
    phi, theta = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(-np.pi, np.pi, columns), indexing="ij"
    )
    points = np.stack(
        [np.sin(phi) * np.sin(theta), -np.cos(phi), np.sin(phi) * np.cos(theta)]
    )
    return np.stack([phi, theta]), points


def no_paint(rows: int, columns: int) -> Float32[np.ndarray, "r c 4"]:
    """Coordinates of a surface of one colour."""
    return np.zeros((rows, columns, 4), np.float32)
