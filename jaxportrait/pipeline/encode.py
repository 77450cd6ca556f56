"""From pictures to what the renderer and the retargeting read: a source, and motion."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from jaxportrait.media.paste import motion_border, soft_mask
from jaxportrait.models.appearance import AppearanceExtractor
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.models.warping import WarpingNetwork
from jaxportrait.ops.geometry import rotation_matrix, transform_keypoints
from jaxportrait.types import Motion, Source, SourceFrames


@jax.jit
def extract_motion(motion: MotionExtractor, images: UInt8[Array, "n h w 3"]) -> Motion:
    """Return the motion of 8-bit pictures that are cropped to faces.

    Products have full float32 factors, as for a source.
    """
    with jax.default_matmul_precision("highest"):
        return motion(images.astype(jnp.float32) / 255.0)


@jax.jit
def extract_frames(
    motion: MotionExtractor, images: UInt8[Array, "n h w 3"]
) -> SourceFrames:
    """Return the keypoints and the motion of 8-bit pictures that are cropped to
    faces."""
    with jax.default_matmul_precision("highest"):
        face = motion(images.astype(jnp.float32) / 255.0)
    return SourceFrames(locate_keypoints(face), face)


def locate_keypoints(face: Motion) -> Float[Array, "n k 3"]:
    """Return the keypoints of pictures."""
    return transform_keypoints(
        face.keypoints,
        rotation_matrix(face.pose),
        face.expression,
        face.scale,
        face.translation,
    )


@jax.jit
def encode_source(
    appearance: AppearanceExtractor,
    motion: MotionExtractor,
    warping: WarpingNetwork,
    image: UInt8[Array, "1 h w 3"],
) -> Source:
    """Return the source of an 8-bit picture that is cropped to a face.

    This is done once a picture. So products have full float32 factors, which
    accelerators round by default.
    """
    picture = image.astype(jnp.float32) / 255.0
    with jax.default_matmul_precision("highest"):
        volume = appearance(picture)
        face = motion(picture)
    # W reads the volume in its own dtype, compressed once and not once a frame.
    compressed = warping.dense_motion.compress_volume(volume)
    keypoints = locate_keypoints(face)
    mobility = jnp.ones((1, *volume.shape[2:4]), jnp.float32)
    return Source(volume, compressed, keypoints, face, mobility)


def volume_side(appearance: AppearanceExtractor, image_size: int) -> int:
    """Return the height and width of the volume of a picture, without computing it."""
    picture = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
    volume = jax.eval_shape(lambda network, crop: network(crop), appearance, picture)
    return volume.shape[2]


def fade_motion(side: int, zoom: float) -> Float[np.ndarray, "1 h w"]:
    """Return the mobility of crops, which fades at the border of tighter ones.

    Args:
      side: height and width of the feature volume.
      zoom: how many times tighter than LivePortrait's they are cropped.
    """
    if zoom <= 1:
        return np.ones((1, side, side), np.float32)
    return soft_mask(side, motion_border(zoom))[None]
