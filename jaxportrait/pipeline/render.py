"""Rendering: a source and driving keypoints -> frames, one program a chunk."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from jaxportrait.models.appearance import AppearanceExtractor
from jaxportrait.models.generator import Generator
from jaxportrait.models.warping import WarpingNetwork
from jaxportrait.types import Source


@jax.jit
def render(
    warping: WarpingNetwork,
    generator: Generator,
    source: Source,
    driving: Float[Array, "n k 3"],
) -> UInt8[Array, "n h w 3"]:
    """Return the source's face with the keypoints of each frame, as 8-bit pictures."""
    warped = warping(
        source.volume, source.keypoints, driving, source.compressed, source.mobility
    )
    return _to_pictures(generator(warped.features))


@jax.jit
def render_video(
    appearance: AppearanceExtractor,
    warping: WarpingNetwork,
    generator: Generator,
    crops: UInt8[Array, "n h w 3"],
    keypoints: Float[Array, "n k 3"],
    driving: Float[Array, "n k 3"],
    mobility: Float[Array, "1 h w"],
) -> UInt8[Array, "n h w 3"]:
    """Return the faces of a source video with other keypoints, as 8-bit pictures.

    Every frame has its own volume.

    Args:
      crops: the frames, cropped to the face.
      keypoints: the frames' own.
      driving: those of the result.
      mobility: see `Source`.
    """
    # F computes in full float32, as for a picture.
    with jax.default_matmul_precision("highest"):
        volume = appearance(crops.astype(jnp.float32) / 255.0)
    warped = warping(volume, keypoints, driving, mobility=mobility)
    return _to_pictures(generator(warped.features))


def _to_pictures(values: Float[Array, "n h w 3"]) -> UInt8[Array, "n h w 3"]:
    # Frames leave the device in 8 bits, a quarter of float32's size.
    return jnp.round(values * 255.0).astype(jnp.uint8)
