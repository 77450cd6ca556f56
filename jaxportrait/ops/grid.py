"""Coordinate grids, keypoint gaussians, and sampling of feature volumes.

Positions run from -1 to 1, ordered (x, y, z) over (width, height, depth). The first and
last points of the grid lie ON -1 and 1. Sampling reads -1 and 1 as the OUTER EDGES of
the first and last voxel. The published network has both conventions, and its weights
were trained with them.
"""

from itertools import product

import jax.numpy as jnp
from jaxtyping import Array, Float

GAUSSIAN_DEVIATION = 0.1
"""Deviation of a keypoint's heat; the published variance is 0.01."""


def axis_positions(size: int) -> Float[Array, " size"]:
    """Return `size` positions from -1 to 1 inclusive."""
    return 2.0 * (jnp.arange(size, dtype=jnp.float32) / (size - 1)) - 1.0


def coordinate_grid(depth: int, height: int, width: int) -> Float[Array, "d h w 3"]:
    """Return the identity deformation: every voxel's own position, (x, y, z)."""
    z, y, x = jnp.meshgrid(
        axis_positions(depth),
        axis_positions(height),
        axis_positions(width),
        indexing="ij",
    )
    return jnp.stack([x, y, z], axis=-1)


def keypoint_gaussians(
    keypoints: Float[Array, "n k 3"],
    size: tuple[int, ...],
    depth_deviation: float = GAUSSIAN_DEVIATION,
) -> Float[Array, "n d h w k"]:
    """Return a gaussian of deviation 0.1 around each keypoint.

    It is a product of one gaussian an axis: exp is computed of d + h + w numbers a
    keypoint, not of d * h * w.

    Args:
      keypoints: centres (x, y, z).
      size: depth, height and width of the volume.
      depth_deviation: deviation along the depth.
    """
    depth, height, width = size
    centres = keypoints.astype(jnp.float32)
    x = _axis_gaussian(centres[:, :, 0], width, GAUSSIAN_DEVIATION)
    y = _axis_gaussian(centres[:, :, 1], height, GAUSSIAN_DEVIATION)
    z = _axis_gaussian(centres[:, :, 2], depth, depth_deviation)
    return z[:, :, None, None, :] * y[:, None, :, None, :] * x[:, None, None, :, :]


def _axis_gaussian(
    centres: Float[Array, "n k"], length: int, deviation: float
) -> Float[Array, "n length k"]:
    distance = axis_positions(length)[None, :, None] - centres[:, None, :]
    return jnp.exp(-0.5 / deviation**2 * distance**2)


def translate_volume(
    volume: Float[Array, "m d h w c"], offsets: Float[Array, "n k 3"]
) -> Float[Array, "n d h w k c"]:
    """Sample `volume` trilinearly at the identity grid moved by each offset.

    Equal to `sample_volume` at `coordinate_grid + offset`: positions outside read as
    zero. Trilinear sampling of a translation is separable. So three small interpolation
    matrices an offset replace eight gathers a voxel.

    Args:
      volume: m = n, or m = 1 where one volume serves every set of offsets.
      offsets: translations (x, y, z) in the grid's units.
    """
    _, depth, height, width, _ = volume.shape
    if volume.shape[0] != offsets.shape[0]:
        volume = jnp.broadcast_to(volume, (offsets.shape[0], *volume.shape[1:]))
    x = _interpolation_matrix(offsets[:, :, 0], width).astype(volume.dtype)
    y = _interpolation_matrix(offsets[:, :, 1], height).astype(volume.dtype)
    z = _interpolation_matrix(offsets[:, :, 2], depth).astype(volume.dtype)
    # One axis after the other, along the width first.
    moved = jnp.einsum("nkXx,ndhxc->nkdhXc", x, volume)
    moved = jnp.einsum("nkHh,nkdhwc->nkdHwc", y, moved)
    return jnp.einsum("nkDd,nkdhwc->nDhwkc", z, moved)


def _interpolation_matrix(
    offsets: Float[Array, "n k"], length: int
) -> Float[Array, "n k length length"]:
    """Return the linear weights of every input cell at each output position.

    Row i is of output position i. Cells outside have no column, so they count as zero.
    """
    shifts = offsets.astype(jnp.float32)[:, :, None]
    positions = axis_positions(length)[None, None, :] + shifts
    cells = _cell_coordinates(positions, length)[..., None]
    centres = jnp.arange(length, dtype=jnp.float32)[None, None, None, :]
    return jnp.maximum(0.0, 1.0 - jnp.abs(cells - centres))


def sample_volume(
    volume: Float[Array, "m d h w c"], grid: Float[Array, "n D H W 3"]
) -> Float[Array, "n D H W c"]:
    """Sample `volume` trilinearly at `grid`; positions outside read as zero.

    Args:
      volume: feature volumes; m = n, or m = 1 where one volume serves every grid.
      grid: positions in [-1, 1], ordered (x, y, z); -1 is the outer edge of the first
        voxel.

    Source: LivePortrait, the warp of its WarpingNetwork (align_corners=False).
    """
    batch, depth, height, width, channels = volume.shape
    sizes = (width, height, depth)
    cells = []
    for axis, size in enumerate(sizes):
        positions = grid[..., axis].astype(jnp.float32)
        cells.append(_cell_coordinates(positions, size))
    # With one volume, index 0 is broadcast over the grids.
    rows = jnp.arange(batch)[:, None, None, None]
    total = jnp.zeros((*grid.shape[:-1], channels), volume.dtype)
    # Each position lies between eight voxels, the lower and the upper of each axis.
    for sides in product((0, 1), repeat=3):
        weight = jnp.ones_like(cells[0])
        index = []
        for cell, size, side in zip(cells, sizes, reversed(sides), strict=True):
            axis_weight, axis_index = _neighbour(cell, size, side)
            weight *= axis_weight
            index.append(axis_index)
        x, y, z = index
        total += weight.astype(volume.dtype)[..., None] * volume[rows, z, y, x]
    return total


def _neighbour(cell: Array, size: int, side: int) -> tuple[Array, Array]:
    """Return the weight and index of the lower (0) or upper (1) voxel of one axis."""
    lower = jnp.floor(cell)
    fraction = cell - lower
    weight = fraction if side else 1.0 - fraction
    index = lower + side
    # Voxels outside weigh nothing, and the nearest one inside is read.
    inside = (index >= 0) & (index <= size - 1)
    nearest = jnp.clip(index, 0, size - 1).astype(jnp.int32)
    return jnp.where(inside, weight, 0.0), nearest


def _cell_coordinates(positions: Array, length: int) -> Array:
    """Map [-1, 1], edge to edge, to coordinates in which cell i has its centre at i."""
    return ((positions + 1.0) * length - 1.0) / 2.0
