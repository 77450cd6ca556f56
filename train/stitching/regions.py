"""Where landmarks say that shoulders, eyes and lips are, and how far eyes and lips are
open.

Positions (x, y) are in [-1, 1]; a face whose landmarks are not known has NaN there.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxportrait.ops.grid import axis_positions
from jaxportrait.types import pytree
from train.stitching.config import OrganConfig, StitchingTrainConfig

LEAST_WIDTH = 0.02
"""Of an opening; that of an eye which is seen from its side would be 0."""
LEAST_GAP = 1e-4
"""A distance has no gradient at 0."""


@pytree
@dataclass(frozen=True)
class Organ:
    """Eyes or lips of faces.

    Attributes:
      known: whether all landmarks are.
      width: of each eye, or of the mouth.
      openness: heights in widths.
      surroundings: 1 where a pixel is of no opening.
    """

    known: Bool[Array, " n"]
    width: Float[Array, "n o"]
    openness: Float[Array, "n o"]
    surroundings: Float[Array, "n h w 1"]


def shoulders(
    config: StitchingTrainConfig, landmarks: Float[Array, "n l 2"], size: int
) -> Float[Array, "n h w 1"]:
    """1 below the chin; where no jaw is known, in the lowest band."""
    top = jnp.full(len(landmarks), 1 - 2 * config.band)
    if config.jaw:
        chin = jnp.max(
            landmarks[:, jnp.array(config.jaw), 1], axis=1
        )  # NaN where a landmark is
        top = jnp.where(jnp.isfinite(chin), chin, top)
    below = axis_positions(size)[None, :] > top[:, None]
    return jnp.broadcast_to(below[:, :, None, None], (len(top), size, size, 1)).astype(
        jnp.float32
    )


def find_organ(
    config: OrganConfig, landmarks: Float[Array, "n l 2"], size: int
) -> Organ:
    """Eyes or lips in pictures of `size` pixels a side."""
    points = landmarks[
        :, jnp.array(config.openings)
    ]  # n, openings, (above, below, corner, corner), 2
    known = jnp.isfinite(points).all(axis=(1, 2, 3))
    points = jnp.where(known[:, None, None, None], points, 0.0)
    above, below, left, right = jnp.moveaxis(points, 2, 0)
    width = jnp.maximum(distance(left, right), LEAST_WIDTH)
    free = discs(points.mean(axis=2), config.radius * width, size)
    return Organ(known, width, distance(above, below) / width, 1 - free)


def seen_openness(
    config: StitchingTrainConfig,
    organ: OrganConfig,
    keypoints: Float[Array, "n k 3"],
    width: Float[Array, "n o"],
) -> Float[Array, "n o"]:
    """How far eyes or lips are open by the keypoints that lie on them.

    Args:
      width: of each opening; the corners have no keypoints, and stay where they are in
        the source.
    """
    above, below = (
        jnp.array([config.keypoint(opening[side]) for opening in organ.openings])
        for side in (0, 1)
    )
    return distance(keypoints[:, above, :2], keypoints[:, below, :2]) / width


def distance(a: Float[Array, "*n 2"], b: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
    return jnp.sqrt(jnp.square(a - b).sum(axis=-1) + LEAST_GAP**2)


def discs(
    centre: Float[Array, "n o 2"], radius: Float[Array, "n o"], size: int
) -> Float[Array, "n h w 1"]:
    """1 within any of a picture's discs, 0 outside."""
    axis = axis_positions(size)[None, None]
    x, y = (jnp.square(axis - centre[:, :, each, None]) for each in (0, 1))
    inside = y[:, :, :, None] + x[:, :, None, :] < jnp.square(radius)[:, :, None, None]
    return inside.any(axis=1)[..., None].astype(jnp.float32)
