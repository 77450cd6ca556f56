"""Random smooth warps of pictures, which keypoints must follow.

Source: Siarohin et al., "First order motion model", 2019, the equivariance constraint.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxportrait.ops.grid import axis_positions, sample_volume
from jaxportrait.types import pytree

CONTROL_POINTS = 5
AFFINE_DEVIATION, BEND_DEVIATION = 0.05, 0.005


@pytree
@dataclass(frozen=True)
class Warp:
    """A thin-plate spline a picture: an affine map, and bends around a grid of control
    points.

    Attributes:
      affine: of (x, y, 1).
      bends: of each control point.
    """

    affine: Float[Array, "*n 2 3"]
    bends: Float[Array, "*n c 2"]


def draw_warp(key: PRNGKeyArray) -> Warp:
    """A random warp, not far from none."""
    affine, bends = jax.random.split(key)
    return Warp(
        jnp.eye(2, 3) + AFFINE_DEVIATION * jax.random.normal(affine, (2, 3)),
        BEND_DEVIATION * jax.random.normal(bends, (CONTROL_POINTS**2, 2)),
    )


def warp_points(warp: Warp, points: Float[Array, "n p 2"]) -> Float[Array, "n p 2"]:
    """Where a warped picture takes what it shows at `points`: positions (x, y) in [-1,
    1]."""
    ones = jnp.ones((*points.shape[:-1], 1), points.dtype)
    straight = jnp.einsum(
        "nij,npj->npi", warp.affine, jnp.concatenate([points, ones], axis=-1)
    )
    square = jnp.square(points[:, :, None] - _control_points()[None, None]).sum(axis=-1)
    radial = 0.5 * square * jnp.log(square + 1e-6)  # d^2 log d
    return straight + jnp.einsum("npc,nci->npi", radial, warp.bends)


def warp_images(warp: Warp, images: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Pictures that show at each point what `images` show at `warp_points` of it; black
    from outside."""
    n, height, width, _ = images.shape
    y, x = jnp.meshgrid(axis_positions(height), axis_positions(width), indexing="ij")
    grid = jnp.broadcast_to(
        jnp.stack([x, y], axis=-1).reshape(1, -1, 2), (n, height * width, 2)
    )
    at = (
        warp_points(warp, grid)
        * jnp.array([(width - 1) / width, (height - 1) / height])[None, None]
    )
    at = jnp.pad(at, ((0, 0), (0, 0), (0, 1))).reshape(
        n, 1, height, width, 3
    )  # a plane at depth 0
    return sample_volume(images[:, None], at)[:, 0]


def _control_points() -> Float[Array, "c 2"]:
    places = axis_positions(CONTROL_POINTS)
    return jnp.stack(jnp.meshgrid(places, places), axis=-1).reshape(-1, 2)
