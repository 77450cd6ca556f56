"""A batch of pairs as the renderer's losses read it: random draws, colours, sizes.

Every random draw belongs to a sample's row in the global batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from jaxportrait.ops.resize import mean_pool
from jaxportrait.types import pytree
from train.renderer.config import RendererConfig
from train.renderer.transform import Warp, draw_warp

Batch = Mapping[str, Array]
"""Pairs of frames, as `train.renderer.data.pairs` makes them."""


@pytree
@dataclass(frozen=True)
class Draws:
    """Random draws of each pair.

    Attributes:
      gain: factor of each colour.
      warp: warp of the equivariance of keypoints.
    """

    gain: Float[Array, "n 3"]
    warp: Warp


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


def draw(key: PRNGKeyArray, rows: Int[Array, " n"], jitter: float) -> Draws:
    """Draw colour gains and warps, row by row.

    Args:
      key: key of the step.
      rows: place of each sample in the global batch.
      jitter: standard deviation of a gain's logarithm.
    """

    def draw_row(row: Array) -> Draws:
        gain_key, warp_key = jax.random.split(jax.random.fold_in(key, row))
        gain = jnp.exp(jitter * jax.random.normal(gain_key, (3,)))
        return Draws(gain, draw_warp(warp_key))

    return jax.vmap(draw_row)(rows)


def prepare(config: RendererConfig, batch: Batch, gain: Float[Array, "n 3"]) -> Pair:
    """Return 8-bit frames at the sizes that networks read and make."""
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
