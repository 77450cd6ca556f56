"""Surfaces: grids of points with coordinates of what is painted on them."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Float32, Int

Points = Float[np.ndarray, "r c 3"]
"""A grid of points, or of vectors at them."""
TINY = 1e-7
"""Length below which a normal has no direction."""


class Material(IntEnum):
    """Material of a surface; it decides the shading."""

    FACE = 0
    EAR = 1
    HAIR = 2
    BODY = 3
    FRAME = 4


@dataclass(frozen=True)
class Surface:
    """A grid of points.

    Its front is the side from which rows x columns turn clockwise.

    Attributes:
      points: positions in the head's coordinates.
      paint: coordinates by which colours are looked up; their meaning depends on the
        material.
      material: one material for the whole surface.
      two_sided: draw the back as well.
    """

    points: Points
    paint: Float[np.ndarray, "r c 4"]
    material: Material
    two_sided: bool = False


def normals_of(points: Points) -> Points:
    """Return unit normals of a grid, on the side where rows x columns turn clockwise."""
    down = np.gradient(points, axis=0)
    right = np.gradient(points, axis=1)
    normals = np.cross(right, down)
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / np.maximum(lengths, TINY)
    # A first or last row that is a single point, as at a pole, has no direction of its
    # own; its neighbour's is used.
    for end, neighbour in ((0, 1), (-1, -2)):
        has_direction = lengths[end] > TINY
        normals[end] = np.where(has_direction, normals[end], normals[neighbour])
    return normals


def triangles_of(rows: int, columns: int) -> Int[np.ndarray, "t 3"]:
    """Return indices of the corners of a grid's triangles, two a cell."""
    index = np.arange(rows * columns).reshape(rows, columns)
    # Corners of each cell, clockwise from the upper left one.
    upper_left = index[:-1, :-1]
    upper_right = index[:-1, 1:]
    lower_right = index[1:, 1:]
    lower_left = index[1:, :-1]
    first = np.stack([upper_left, upper_right, lower_right], axis=-1)
    second = np.stack([upper_left, lower_right, lower_left], axis=-1)
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])


def sphere(
    rows: int, columns: int
) -> tuple[Float[np.ndarray, "2 r c"], Float[np.ndarray, "3 r c"]]:
    """Return a unit sphere: its angles, and x, y, z at them.

    The angles are phi from the top, 0 to pi, and theta around the vertical axis, -pi
    to pi, with 0 towards the viewer.
    """
    tops = np.linspace(0, np.pi, rows)
    turns = np.linspace(-np.pi, np.pi, columns)
    phi, theta = np.meshgrid(tops, turns, indexing="ij")
    x = np.sin(phi) * np.sin(theta)
    y = -np.cos(phi)
    z = np.sin(phi) * np.cos(theta)
    return np.stack([phi, theta]), np.stack([x, y, z])


def no_paint(rows: int, columns: int) -> Float32[np.ndarray, "r c 4"]:
    """Return paint coordinates for a surface of one colour."""
    return np.zeros((rows, columns, 4), np.float32)
