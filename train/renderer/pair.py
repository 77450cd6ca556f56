"""A batch of pairs as the renderer's losses read it: random draws, colours, sizes.

Every random draw belongs to a sample's row in the global batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from jaxportrait.ops.resize import mean_pool
from jaxportrait.types import pytree
from train.renderer.config import RendererConfig
from train.renderer.transform import Warp, draw_warp

MIRROR = 2
"""Number by which a row's key for its mirror is folded; the other keys are a split."""
Batch = Mapping[str, Array]
"""Pairs of frames, as `train.renderer.data.pairs` makes them."""


@pytree
@dataclass(frozen=True)
class Draws:
    """Random draws of each pair.

    Attributes:
      gain: factor of each colour.
      warp: warp of the equivariance of keypoints.
      mirrored: true where the pair is mirrored; None where none is.
    """

    gain: Float[Array, "n 3"]
    warp: Warp
    mirrored: Bool[Array, " n"] | None = None


@pytree
@dataclass(frozen=True)
class Pair:
    """Frames as the losses read them.

    Attributes:
      source: source frames as F and M read them, values from 0 to 1.
      driving: driving frames, likewise.
      target: driving frames at the size that G makes, or that M reads where G makes
        none.
      source_landmarks: x and y in [-1, 1]; NaN where unknown.
      driving_landmarks: likewise of the driving frames.
      pose: pose of the source frames, and then of the driving frames, in degrees; NaN
        where unknown.
    """

    source: Float[Array, "n h w 3"]
    driving: Float[Array, "n h w 3"]
    target: Float[Array, "n H W 3"]
    source_landmarks: Float[Array, "n l 2"]
    driving_landmarks: Float[Array, "n l 2"]
    pose: Float[Array, "m 3"]


def draw(
    key: PRNGKeyArray, rows: Int[Array, " n"], jitter: float, mirror: float = 0.0
) -> Draws:
    """Draw colour gains, warps and mirrored pairs, row by row.

    Args:
      key: key of the step.
      rows: place of each sample in the global batch.
      jitter: standard deviation of a gain's logarithm.
      mirror: share of the pairs that are mirrored.
    """

    def draw_row(row: Array) -> Draws:
        row_key = jax.random.fold_in(key, row)
        gain_key, warp_key = jax.random.split(row_key)
        gain = jnp.exp(jitter * jax.random.normal(gain_key, (3,)))
        draws = Draws(gain, draw_warp(warp_key))
        if not mirror:
            return draws
        # A key of its own, so that gains and warps are those without mirrors.
        mirror_key = jax.random.fold_in(row_key, MIRROR)
        return replace(draws, mirrored=jax.random.bernoulli(mirror_key, mirror))

    return jax.vmap(draw_row)(rows)


def prepare(
    config: RendererConfig,
    batch: Batch,
    gain: Float[Array, "n 3"],
    mirrored: Bool[Array, " n"] | None = None,
) -> Pair:
    """Return 8-bit frames at the sizes that networks read and make."""
    if mirrored is not None:
        batch = mirror_pairs(batch, mirrored, config.mirrors)
    # Both frames of a pair have the same gains.
    source = colored(batch["source"], gain)
    driving = colored(batch["driving"], gain)
    return Pair(
        shrink(source, config.image_size),
        shrink(driving, config.image_size),
        shrink(driving, config.target_size),
        batch["source_landmarks"],
        batch["driving_landmarks"],
        jnp.concatenate([batch["source_pose"], batch["driving_pose"]]),
    )


def mirror_pairs(
    batch: Batch, mirrored: Bool[Array, " n"], mirrors: Sequence[tuple[int, int]]
) -> Batch:
    """Return the batch with both frames of some pairs mirrored left to right.

    Landmarks keep their meaning: a left lid is then read at the right one's place.

    Args:
      batch: pairs of frames.
      mirrored: pairs that are mirrored.
      mirrors: pairs of landmarks that are each other's mirror; the others become NaN.
    """
    mirror_images: dict[str, Array] = {}
    for role in ("source", "driving"):
        landmarks, pose = f"{role}_landmarks", f"{role}_pose"
        mirror_images[role] = batch[role][:, :, ::-1]
        mirror_images[landmarks] = mirror_landmarks(batch[landmarks], mirrors)
        # Pitch stays; yaw and roll change their sign.
        mirror_images[pose] = batch[pose] * jnp.array([[1.0, -1.0, -1.0]])

    def choose(name: str) -> Array:
        values = batch[name]
        shape = (-1,) + (1,) * (values.ndim - 1)
        return jnp.where(mirrored.reshape(shape), mirror_images[name], values)

    return {**batch, **{name: choose(name) for name in mirror_images}}


def mirror_landmarks(
    landmarks: Float[Array, "n l 2"], mirrors: Sequence[tuple[int, int]]
) -> Float[Array, "n l 2"]:
    """Return the landmarks of mirrored pictures; NaN where a mirror is unknown."""
    if not mirrors:
        return jnp.full_like(landmarks, jnp.nan)
    one, other = np.array(mirrors).T
    places = np.concatenate([one, other])
    partners = np.concatenate([other, one])
    # x = -1 and 1 are the centres of the outer pixels, which change places.
    mirror_images = landmarks[:, partners] * jnp.array([[[-1.0, 1.0]]])
    return jnp.full_like(landmarks, jnp.nan).at[:, places].set(mirror_images)


def colored(
    frames: UInt8[Array, "n h w 3"], gain: Float[Array, "n 3"]
) -> Float[Array, "n h w 3"]:
    """Return 8-bit frames as values from 0 to 1, each colour times its gain."""
    values = frames.astype(jnp.float32) / 255.0
    return jnp.clip(values * gain[:, None, None], 0.0, 1.0)


def shrink(images: Float[Array, "n H W 3"], size: int) -> Float[Array, "n h w 3"]:
    """Halve height and width until they are `size`."""
    while images.shape[1] > size:
        images = mean_pool(images)
    return images
