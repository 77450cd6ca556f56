"""Head pose and keypoints.

Rotations, and the transform from canonical keypoints to a picture's.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

DEGREES_PER_BIN = 3.0
"""Width of a bin in LivePortrait, whose 66 bins cover 198 degrees."""
FIRST_BIN_DEGREES = -97.5
"""The centre of the first bin, as in LivePortrait."""


def expected_degrees(logits: Float[Array, "*n bins"]) -> Float[Array, "*n"]:
    """Return the expectation of an angle, in degrees.

    Args:
      logits: prediction over bins of three degrees.

    Source: LivePortrait, the head pose of its motion extractor.
    """
    probabilities = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
    bins = jnp.arange(logits.shape[-1], dtype=jnp.float32)
    bins = bins.reshape((1,) * (logits.ndim - 1) + bins.shape)
    mean_bin = jnp.sum(probabilities * bins, axis=-1)
    return mean_bin * DEGREES_PER_BIN + FIRST_BIN_DEGREES


def rotation_matrix(pose: Float[Array, "*n 3"]) -> Float[Array, "*n 3 3"]:
    """Return the matrix that rotates row vectors: (Rz Ry Rx) transposed.

    Args:
      pose: pitch, yaw and roll in degrees.

    Source: LivePortrait.
    """
    radians = jnp.deg2rad(pose.astype(jnp.float32))
    x_cosine, y_cosine, z_cosine = jnp.moveaxis(jnp.cos(radians), -1, 0)
    x_sine, y_sine, z_sine = jnp.moveaxis(jnp.sin(radians), -1, 0)
    one = jnp.ones_like(x_sine)
    zero = jnp.zeros_like(x_sine)
    # One rotation about each axis, row by row.
    about_x = _matrix(
        [one, zero, zero],
        [zero, x_cosine, -x_sine],
        [zero, x_sine, x_cosine],
    )
    about_y = _matrix(
        [y_cosine, zero, y_sine],
        [zero, one, zero],
        [-y_sine, zero, y_cosine],
    )
    about_z = _matrix(
        [z_cosine, -z_sine, zero],
        [z_sine, z_cosine, zero],
        [zero, zero, one],
    )
    # Row vectors are multiplied from the left.
    return jnp.swapaxes(chain(about_z, about_y, about_x), -1, -2)


def transform_keypoints(
    keypoints: Float[Array, "n k 3"],
    rotation: Float[Array, "n 3 3"],
    expression: Float[Array, "n k 3"],
    scale: Float[Array, "n 1"],
    translation: Float[Array, "n 3"],
) -> Float[Array, "n k 3"]:
    """Transform canonical keypoints to those of a picture.

    They are `scale * (keypoints @ rotation + expression) + translation`. The z part of
    the translation is not applied.

    Source: LivePortrait, equation 2.
    """
    flat = translation * jnp.asarray([[1.0, 1.0, 0.0]], translation.dtype)
    posed = chain(keypoints, rotation) + expression
    return scale[:, :, None] * posed + flat[:, None, :]


def chain(*matrices: Float[Array, "*n a b"]) -> Float[Array, "*n a c"]:
    """Multiply matrices from left to right in full float32.

    By default accelerators round the factors.
    """
    multiply = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
    return functools.reduce(multiply, matrices)


def _matrix(*rows: list[Float[Array, "*n"]]) -> Float[Array, "*n 3 3"]:
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
