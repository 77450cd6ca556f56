"""Find the surface at each pixel, and the place on it.

Triangles are painted from the farthest to the nearest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, Int32

from train.synthetic.surface import Surface, normals_of, triangles_of

SUBPIXEL_BITS = 4
"""Fractional bits of OpenCV's fixed-point coordinates."""
SMALLEST_AREA = 0.02
"""Square pixels; thinner triangles are seen edge on."""
NORMAL, PAINT, DEPTH = slice(0, 3), slice(3, 7), 7
"""Columns of the values that are interpolated over a triangle."""


@dataclass(frozen=True)
class Visible:
    """The pixels that show a surface.

    Attributes:
      shape: rows and columns of the picture.
      pixels: flat indices.
      material: material of the surface there.
      normals: unit normals on the viewer's side.
      paint: the surface's own coordinates.
      depth: z, towards the viewer.
    """

    shape: tuple[int, int]
    pixels: Int[np.ndarray, " n"]
    material: Int[np.ndarray, " n"]
    normals: Float32[np.ndarray, "n 3"]
    paint: Float32[np.ndarray, "n 4"]
    depth: Float32[np.ndarray, " n"]


@dataclass(frozen=True)
class Mesh:
    """All surfaces of a scene as one list of triangles.

    Attributes:
      corners: positions in the picture, in pixels.
      values: normal, paint and depth at the corners.
      material: material of each triangle.
    """

    corners: Float32[np.ndarray, "t 3 2"]
    values: Float32[np.ndarray, "t 3 8"]
    material: Int32[np.ndarray, " t"]

    @cached_property
    def order(self) -> Int[np.ndarray, " t"]:
        """Indices from the farthest to the nearest."""
        # Equal depths keep the order of the surfaces.
        return np.argsort(self.values[:, :, DEPTH].mean(axis=1), kind="stable")


def rasterize(
    surfaces: Sequence[Surface],
    pixels: Sequence[Float[np.ndarray, "r c 2"]],
    shape: tuple[int, int],
) -> Visible:
    """Find the visible points of surfaces.

    Args:
      surfaces: surfaces turned towards the viewer.
      pixels: positions of their points in the picture.
      shape: rows and columns of the picture.
    """
    pairs = zip(surfaces, pixels, strict=True)
    mesh = _join([_facing(surface, positions) for surface, positions in pairs])
    owners = _paint_owners(mesh, shape)
    covered = np.flatnonzero(owners >= 0)
    owner = owners.ravel()[covered]
    x = covered % shape[1]
    y = covered // shape[1]
    values = _interpolate(mesh, owner, x, y)
    # Interpolated normals are shorter than 1.
    normals = values[:, NORMAL]
    lengths = np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-6)
    return Visible(
        shape,
        pixels=covered,
        material=mesh.material[owner],
        normals=normals / lengths,
        paint=values[:, PAINT],
        depth=values[:, DEPTH],
    )


@lru_cache(maxsize=64)
def _grid_triangles(rows: int, columns: int) -> Int[np.ndarray, "t 3"]:
    return triangles_of(rows, columns)


def _facing(surface: Surface, pixels: Float[np.ndarray, "r c 2"]) -> Mesh:
    """Return the triangles of a surface that face the viewer.

    Args:
      surface: surface turned towards the viewer.
      pixels: positions of its points in the picture.
    """
    triangles = _grid_triangles(*pixels.shape[:2])
    # r c 2 -> t 3 2
    corners = pixels.reshape(-1, 2).astype(np.float32)[triangles]
    # The signed area is positive where corners run clockwise: the front.
    ax, ay = (corners[:, 1] - corners[:, 0]).T
    bx, by = (corners[:, 2] - corners[:, 0]).T
    area = (ax * by - ay * bx) / 2
    size = np.abs(area) if surface.two_sided else area
    facing = size > SMALLEST_AREA
    normals = normals_of(surface.points)
    depth = surface.points[..., 2:]
    values = np.concatenate([normals, surface.paint, depth], axis=-1)
    values = values.reshape(-1, 8).astype(np.float32)[triangles[facing]]
    # Normals of a back that is seen point towards the viewer, too.
    values[area[facing] < 0, :, NORMAL] *= -1
    material = np.full(len(values), surface.material, np.int32)
    return Mesh(corners[facing], values, material)


def _join(meshes: Sequence[Mesh]) -> Mesh:
    return Mesh(
        corners=np.concatenate([mesh.corners for mesh in meshes]),
        values=np.concatenate([mesh.values for mesh in meshes]),
        material=np.concatenate([mesh.material for mesh in meshes]),
    )


def _paint_owners(mesh: Mesh, shape: tuple[int, int]) -> Int32[np.ndarray, "h w"]:
    """Return the index of the triangle seen at each pixel, -1 for none."""
    owners = np.full(shape, -1, np.int32)
    fixed = np.rint(mesh.corners * (1 << SUBPIXEL_BITS)).astype(np.int32)
    # The painter's algorithm: nearer triangles cover farther ones.
    fill = cv2.fillConvexPoly
    for index in mesh.order.tolist():
        fill(owners, fixed[index], index, cv2.LINE_8, SUBPIXEL_BITS)
    return owners


def _interpolate(
    mesh: Mesh,
    owner: Int[np.ndarray, " n"],
    x: Int[np.ndarray, " n"],
    y: Int[np.ndarray, " n"],
) -> Float32[np.ndarray, "n 8"]:
    """Interpolate the values of triangles at pixels.

    A triangle's border is painted, too, so that barycentric coordinates may lie outside
    of it; they are brought back.

    Args:
      owner: index of the triangle at each pixel.
      x, y: columns and rows of the pixels.
    """
    # Coordinates s and t along two sides: the inverse of [a b] times the offset.
    origin, first, second = mesh.corners.swapaxes(0, 1)
    a = first - origin
    b = second - origin
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    adjugate = np.stack([b[:, 1], -b[:, 0], -a[:, 1], a[:, 0]], axis=1)
    m = (adjugate / area[:, None])[owner]
    dx = x - origin[owner, 0]
    dy = y - origin[owner, 1]
    s = (m[:, 0] * dx + m[:, 1] * dy).clip(0, 1)
    t = (m[:, 2] * dx + m[:, 3] * dy).clip(0, 1)
    # Beyond the third side, s + t exceeds 1.
    excess = np.maximum(s + t, 1)
    s = (s / excess).astype(np.float32)
    t = (t / excess).astype(np.float32)
    start = mesh.values[:, 0]
    to_first = mesh.values[:, 1] - start
    to_second = mesh.values[:, 2] - start
    return start[owner] + s[:, None] * to_first[owner] + t[:, None] * to_second[owner]
