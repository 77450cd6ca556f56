"""From pictures to what the renderer and the retargeting read: a source, and motion."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt8

from jaxportrait.models.appearance import AppearanceExtractor
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.models.warping import WarpingNetwork
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.types import Motion, Source


@jax.jit
def extract_motion(motion: MotionExtractor, images: UInt8[Array, "n h w 3"]) -> Motion:
    """The motion of 8-bit pictures, cropped to faces; with full float32 products, as a
    source's is."""
    with jax.default_matmul_precision("highest"):
        return motion(images.astype(jnp.float32) / 255.0)


@jax.jit
def encode_source(
    appearance: AppearanceExtractor,
    motion: MotionExtractor,
    warping: WarpingNetwork,
    image: UInt8[Array, "1 h w 3"],
) -> Source:
    """All that rendering needs of a source, from its 8-bit picture cropped to the face.

    Done once a picture, and so with full float32 products, whose factors accelerators
    round by default.
    """
    picture = image.astype(jnp.float32) / 255.0
    with jax.default_matmul_precision("highest"):
        volume, own = appearance(picture), motion(picture)
    return Source(
        volume=volume,
        compressed=warping.dense_motion.compress_volume(volume),
        keypoints=transform_keypoints(
            own.keypoints,
            rotation_matrix(own.pose),
            own.expression,
            own.scale,
            own.translation,
        ),
        motion=own,
        mobility=jnp.ones((1, *volume.shape[2:4]), jnp.float32),
    )
