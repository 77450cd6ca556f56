"""Shoulders, eyes and lips by landmarks, and the openness of eyes and lips.

Positions (x, y) are in [-1, 1]; a face whose landmarks are not known has NaN there.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxportrait.ops.grid import axis_positions
from jaxportrait.types import pytree
from train.stitching.config import OrganConfig, StitchingTrainConfig

LEAST_WIDTH = 0.02
"""Width of an opening; that of an eye in profile would be 0."""
LEAST_GAP = 1e-4
"""Distance that is added in squares: a distance has no gradient at 0."""


@pytree
@dataclass(frozen=True)
class Organ:
    """Eyes or lips of faces.

    Attributes:
      mask: true if all landmarks are known.
      width: width of each eye, or of the mouth.
      openness: heights in widths.
      surroundings: 1 at pixels outside every opening.
    """

    mask: Bool[Array, " n"]
    width: Float[Array, "n o"]
    openness: Float[Array, "n o"]
    surroundings: Float[Array, "n h w 1"]


def shoulders(
    config: StitchingTrainConfig, landmarks: Float[Array, "n l 2"], size: int
) -> Float[Array, "n h w 1"]:
    """Return 1 below the chin; where no jaw is known, in the lowest band."""
    n = len(landmarks)
    top = jnp.full(n, 1 - 2 * config.band)
    if config.jaw:
        jaw = landmarks[:, jnp.array(config.jaw), 1]
        # NaN where any landmark of the jaw is.
        chin = jnp.max(jaw, axis=1)
        top = jnp.where(jnp.isfinite(chin), chin, top)
    below = axis_positions(size)[None, :] > top[:, None]
    mask = jnp.broadcast_to(below[:, :, None, None], (n, size, size, 1))
    return mask.astype(jnp.float32)


def find_organ(
    config: OrganConfig, landmarks: Float[Array, "n l 2"], size: int
) -> Organ:
    """Find eyes or lips in pictures of `size` pixels a side."""
    # n, openings, (above, below, corner, corner), 2
    points = landmarks[:, jnp.array(config.openings)]
    mask = jnp.isfinite(points).all(axis=(1, 2, 3))
    points = jnp.where(mask[:, None, None, None], points, 0.0)
    above, below, left, right = jnp.moveaxis(points, 2, 0)
    width = jnp.maximum(distance(left, right), LEAST_WIDTH)
    # A face without landmarks has finite numbers, which the mask leaves out.
    openness = distance(above, below) / width
    inside = discs(points.mean(axis=2), config.radius * width, size)
    return Organ(mask, width, openness, 1 - inside)


def seen_openness(
    config: StitchingTrainConfig,
    organ: OrganConfig,
    keypoints: Float[Array, "n k 3"],
    width: Float[Array, "n o"],
) -> Float[Array, "n o"]:
    """Return the openness of eyes or lips by the keypoints that lie on them.

    Args:
      config: options of the run.
      organ: eyes or lips.
      keypoints: keypoints of faces.
      width: width of each opening; the corners have no keypoints, and stay in their
        places of the source.
    """
    above = jnp.array([config.keypoint(opening[0]) for opening in organ.openings])
    below = jnp.array([config.keypoint(opening[1]) for opening in organ.openings])
    return distance(keypoints[:, above, :2], keypoints[:, below, :2]) / width


def distance(a: Float[Array, "*n 2"], b: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
    """Return the distance of points, with a gradient everywhere."""
    return jnp.sqrt(jnp.square(a - b).sum(axis=-1) + LEAST_GAP**2)


def discs(
    centre: Float[Array, "n o 2"], radius: Float[Array, "n o"], size: int
) -> Float[Array, "n h w 1"]:
    """Return 1 within any of a picture's discs, 0 outside."""
    # Squared distances of an opening's columns and rows.
    axis = axis_positions(size)[None, None]
    x = jnp.square(axis - centre[:, :, 0, None])
    y = jnp.square(axis - centre[:, :, 1, None])
    square = y[:, :, :, None] + x[:, :, None, :]
    inside = square < jnp.square(radius)[:, :, None, None]
    return inside.any(axis=1)[..., None].astype(jnp.float32)
