"""Coordinate grids, keypoint gaussians, and sampling of feature volumes.

Positions run from -1 to 1, ordered (x, y, z) over (width, height, depth). The grid's
own points are spaced so that its first and last lie ON -1 and 1, while sampling takes
-1 and 1 as the OUTER EDGES of the first and last voxel. The two conventions differ in
the published network, and its weights were trained with both.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

GAUSSIAN_DEVIATION = 0.1


def axis_positions(size: int) -> Float[Array, " size"]:
    """`size` positions from -1 to 1 inclusive."""
    return 2.0 * (jnp.arange(size, dtype=jnp.float32) / (size - 1)) - 1.0


def coordinate_grid(depth: int, height: int, width: int) -> Float[Array, "d h w 3"]:
    """The identity deformation: every voxel's own position, (x, y, z)."""
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
    """A gaussian of deviation 0.1 around each keypoint, over a volume of `size` (depth,
    height, width).

    A product of one gaussian an axis: exp is taken of d + h + w numbers a keypoint, not
    of d * h * w.

    Args:
      depth_deviation: that along the depth.
    """
    deviations = (depth_deviation, GAUSSIAN_DEVIATION, GAUSSIAN_DEVIATION)
    z, y, x = (
        _axis_gaussian(keypoints[:, :, axis], length, deviation)
        for axis, length, deviation in zip((2, 1, 0), size, deviations, strict=True)
    )
    return z[:, :, None, None, :] * y[:, None, :, None, :] * x[:, None, None, :, :]


def _axis_gaussian(
    centres: Float[Array, "n k"], length: int, deviation: float
) -> Float[Array, "n length k"]:
    distance = (
        axis_positions(length)[None, :, None] - centres.astype(jnp.float32)[:, None, :]
    )
    return jnp.exp(-0.5 / deviation**2 * distance**2)


def translate_volume(
    volume: Float[Array, "m d h w c"], offsets: Float[Array, "n k 3"]
) -> Float[Array, "n d h w k c"]:
    """Sample `volume` trilinearly at the identity grid moved by each offset; what lies
    outside reads as zero.

    Equal to `sample_volume` at `coordinate_grid + offset`. Trilinear sampling of a
    translation is separable, so three small interpolation matrices an offset replace
    eight gathers a voxel.

    Args:
      volume: m = n, or m = 1: one volume serves every set of offsets.
      offsets: translations (x, y, z) in the grid's units.
    """
    _, depth, height, width, _ = volume.shape
    if volume.shape[0] != offsets.shape[0]:
        volume = jnp.broadcast_to(volume, (offsets.shape[0], *volume.shape[1:]))
    x, y, z = (
        _interpolation_matrix(offsets[:, :, axis], length).astype(volume.dtype)
        for axis, length in enumerate((width, height, depth))
    )
    moved = jnp.einsum("nkXx,ndhxc->nkdhXc", x, volume)
    moved = jnp.einsum("nkHh,nkdhwc->nkdHwc", y, moved)
    return jnp.einsum("nkDd,nkdhwc->nDhwkc", z, moved)


def _interpolation_matrix(
    offsets: Float[Array, "n k"], length: int
) -> Float[Array, "n k length length"]:
    """Row i holds the linear weights of every input cell at output position i; a tap
    outside has no column."""
    positions = (
        axis_positions(length)[None, None, :] + offsets.astype(jnp.float32)[:, :, None]
    )
    cells = _cell_coordinates(positions, length)
    distance = jnp.abs(
        cells[..., None] - jnp.arange(length, dtype=jnp.float32)[None, None, None, :]
    )
    return jnp.maximum(0.0, 1.0 - distance)


def sample_volume(
    volume: Float[Array, "m d h w c"], grid: Float[Array, "n D H W 3"]
) -> Float[Array, "n D H W c"]:
    """Sample `volume` trilinearly at `grid`; what lies outside reads as zero.

    Args:
      volume: feature volumes; m = n, or m = 1: one volume serves every grid.
      grid: positions in [-1, 1], ordered (x, y, z); -1 is the outer edge of the first
        voxel.

    Source: LivePortrait, the warp of its WarpingNetwork (align_corners=False).
    """
    batch, *size, _ = volume.shape
    cells = [
        _cell_coordinates(grid[..., axis].astype(jnp.float32), size[2 - axis])
        for axis in range(3)
    ]
    lower = [jnp.floor(cell) for cell in cells]
    upper_weights = [cell - low for cell, low in zip(cells, lower, strict=True)]
    rows = jnp.arange(batch)[:, None, None, None]
    sampled = jnp.zeros((*grid.shape[:-1], volume.shape[-1]), volume.dtype)
    for corner in range(8):
        weight, index = jnp.ones_like(cells[0]), []
        for axis in range(3):
            upper = corner >> axis & 1
            cell = lower[axis] + upper
            inside = (cell >= 0) & (cell <= size[2 - axis] - 1)
            weight *= jnp.where(
                inside, upper_weights[axis] if upper else 1.0 - upper_weights[axis], 0.0
            )
            index.append(jnp.clip(cell, 0, size[2 - axis] - 1).astype(jnp.int32))
        x, y, z = index
        sampled += weight.astype(volume.dtype)[..., None] * volume[rows, z, y, x]
    return sampled


def _cell_coordinates(positions: Array, length: int) -> Array:
    """Positions in [-1, 1], edge to edge -> coordinates in which cell i has its centre
    at i."""
    return ((positions + 1.0) * length - 1.0) / 2.0
