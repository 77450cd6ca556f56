"""Rendering: a source and driving keypoints -> frames, one program a chunk."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

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
    # Frames leave the device in 8 bits, a quarter of float32's size.
    return jnp.round(generator(warped.features) * 255.0).astype(jnp.uint8)
