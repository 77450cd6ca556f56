"""Which surface is seen at each pixel, and where on it: triangles painted from the
farthest to the nearest."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, Int32

from train.synthetic.surface import Surface, normals_of, triangles_of

SUBPIXEL_BITS = 4
SMALLEST_AREA = 0.02  # square pixels; thinner triangles are seen edge on


@dataclass(frozen=True)
class Visible:
    """The pixels that show a surface.

    Attributes:
      shape: rows and columns of the picture.
      pixels: flat index of each.
      material: of the surface there.
      normals: unit, towards the viewer's side.
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
    """All surfaces of a scene as one list of triangles, with what is interpolated over
    them."""

    corners: Float32[np.ndarray, "t 3 2"]
    values: Float32[np.ndarray, "t 3 8"]
    material: Int32[np.ndarray, " t"]

    @cached_property
    def order(self) -> Int[np.ndarray, " t"]:
        """From the farthest to the nearest."""
        return np.argsort(self.values[:, :, 7].mean(axis=1), kind="stable")


def rasterize(
    surfaces: Sequence[Surface],
    pixels: Sequence[Float[np.ndarray, "r c 2"]],
    shape: tuple[int, int],
) -> Visible:
    """Find what is seen.

    Args:
      surfaces: turned as the viewer sees them.
      pixels: where their points are seen.
      shape: rows and columns of the picture.
    """
    mesh = _join(
        [_facing(surface, seen) for surface, seen in zip(surfaces, pixels, strict=True)]
    )
    owners = _paint_owners(mesh, shape)
    where = np.flatnonzero(owners >= 0)
    owner = owners.ravel()[where]
    values = _interpolate(mesh, owner, where % shape[1], where // shape[1])
    normals = values[:, :3] / np.linalg.norm(values[:, :3], axis=1, keepdims=True).clip(
        1e-6
    )
    return Visible(
        shape, where, mesh.material[owner], normals, values[:, 3:7], values[:, 7]
    )


@lru_cache(maxsize=64)
def _grid_triangles(rows: int, columns: int) -> Int[np.ndarray, "t 3"]:
    return triangles_of(rows, columns)


def _facing(surface: Surface, seen: Float[np.ndarray, "r c 2"]) -> Mesh:
    """The triangles of a surface that face the viewer."""
    triangles = _grid_triangles(*seen.shape[:2])
    corners = seen.reshape(-1, 2).astype(np.float32)[triangles]
    (ax, ay), (bx, by) = (
        (corners[:, 1] - corners[:, 0]).T,
        (corners[:, 2] - corners[:, 0]).T,
    )
    area = (ax * by - ay * bx) / 2
    kept = np.abs(area) > SMALLEST_AREA if surface.two_sided else area > SMALLEST_AREA
    normals = normals_of(surface.points)
    values = np.concatenate([normals, surface.paint, surface.points[..., 2:]], axis=-1)
    values = values.reshape(-1, 8).astype(np.float32)[triangles[kept]]
    values[area[kept] < 0, :, :3] *= -1
    material = np.full(len(values), surface.material, np.int32)
    return Mesh(corners[kept], values, material)


def _join(meshes: Sequence[Mesh]) -> Mesh:
    return Mesh(
        *(
            np.concatenate([getattr(mesh, name) for mesh in meshes])
            for name in ("corners", "values", "material")
        )
    )


def _paint_owners(mesh: Mesh, shape: tuple[int, int]) -> Int32[np.ndarray, "h w"]:
    """The index of the triangle seen at each pixel, -1 for none."""
    owners = np.full(shape, -1, np.int32)
    fixed = np.rint(mesh.corners * (1 << SUBPIXEL_BITS)).astype(np.int32)
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
    """Values at pixels by barycentric coordinates, kept within the triangle, whose
    borders are painted, too."""
    origin, first, second = mesh.corners.swapaxes(0, 1)
    a, b = first - origin, second - origin
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    inverse = np.stack([b[:, 1], -b[:, 0], -a[:, 1], a[:, 0]], axis=1) / area[:, None]
    dx, dy = x - origin[owner, 0], y - origin[owner, 1]
    m = inverse[owner]
    s, t = (
        (m[:, 0] * dx + m[:, 1] * dy).clip(0, 1),
        (m[:, 2] * dx + m[:, 3] * dy).clip(0, 1),
    )
    excess = np.maximum(s + t, 1)
    s, t = (s / excess).astype(np.float32), (t / excess).astype(np.float32)
    start = mesh.values[:, 0]
    to_first, to_second = mesh.values[:, 1] - start, mesh.values[:, 2] - start
    return start[owner] + s[:, None] * to_first[owner] + t[:, None] * to_second[owner]
