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
"""Control points along a side."""
AFFINE_DEVIATION = 0.05
BEND_DEVIATION = 0.005
"""Standard deviation of a bend, in half sides of the picture."""


@pytree
@dataclass(frozen=True)
class Warp:
    """A thin-plate spline a picture: an affine map, and bends around a grid of control
    points.

    Attributes:
      affine: matrix of (x, y, 1).
      bends: weight of each control point.
    """

    affine: Float[Array, "*n 2 3"]
    bends: Float[Array, "*n c 2"]


def draw_warp(key: PRNGKeyArray) -> Warp:
    """Draw a random warp near the identity."""
    affine, bends = jax.random.split(key)
    noise = AFFINE_DEVIATION * jax.random.normal(affine, (2, 3))
    bend = BEND_DEVIATION * jax.random.normal(bends, (CONTROL_POINTS**2, 2))
    return Warp(jnp.eye(2, 3) + noise, bend)


def warp_points(warp: Warp, points: Float[Array, "n p 2"]) -> Float[Array, "n p 2"]:
    """Return the positions in the picture that its warped one shows at `points`: (x, y)
    in [-1, 1]."""
    # An affine map, and for each control point a bend that falls off with distance.
    ones = jnp.ones((*points.shape[:-1], 1), points.dtype)
    homogeneous = jnp.concatenate([points, ones], axis=-1)
    straight = jnp.einsum("nij,npj->npi", warp.affine, homogeneous)
    way = points[:, :, None] - _control_points()[None, None]
    square = jnp.square(way).sum(axis=-1)
    radial = 0.5 * square * jnp.log(square + 1e-6)  # d^2 log d
    return straight + jnp.einsum("npc,nci->npi", radial, warp.bends)


def warp_images(warp: Warp, images: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Warp pictures: each point shows the picture at its `warp_points`; outside reads
    as black."""
    n, height, width, _ = images.shape
    y, x = jnp.meshgrid(axis_positions(height), axis_positions(width), indexing="ij")
    points = jnp.stack([x, y], axis=-1).reshape(1, -1, 2)
    positions = warp_points(warp, jnp.broadcast_to(points, (n, height * width, 2)))
    # From the centres of the outer pixels to their edges, as `sample_volume` counts.
    edges = jnp.array([(width - 1) / width, (height - 1) / height])
    positions = positions * edges[None, None]
    # A picture is a volume of one plane, at depth 0.
    grid = jnp.pad(positions, ((0, 0), (0, 0), (0, 1)))
    grid = grid.reshape(n, 1, height, width, 3)
    return sample_volume(images[:, None], grid)[:, 0]


def _control_points() -> Float[Array, "c 2"]:
    places = axis_positions(CONTROL_POINTS)
    return jnp.stack(jnp.meshgrid(places, places), axis=-1).reshape(-1, 2)
