"""Head pose and keypoints: rotations, and the transform from canonical keypoints to a
picture's."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

DEGREES_PER_BIN = 3.0
FIRST_BIN_DEGREES = -97.5


def expected_degrees(logits: Float[Array, "*n bins"]) -> Float[Array, "*n"]:
    """The expectation, in degrees, of an angle predicted as logits over bins of three
    degrees.

    Source: LivePortrait, the head pose of its motion extractor.
    """
    probabilities = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
    bins = jnp.arange(logits.shape[-1], dtype=jnp.float32)
    return (
        jnp.sum(probabilities * _like(bins, probabilities), axis=-1) * DEGREES_PER_BIN
        + FIRST_BIN_DEGREES
    )


def rotation_matrix(pose: Float[Array, "*n 3"]) -> Float[Array, "*n 3 3"]:
    """The matrix that rotates row vectors: (Rz Ry Rx) transposed.

    Args:
      pose: pitch, yaw and roll in degrees.

    Source: LivePortrait.
    """
    pitch, yaw, roll = jnp.moveaxis(jnp.deg2rad(pose.astype(jnp.float32)), -1, 0)
    one, zero = jnp.ones_like(pitch), jnp.zeros_like(pitch)
    about_x = _matrix(
        one,
        zero,
        zero,
        zero,
        jnp.cos(pitch),
        -jnp.sin(pitch),
        zero,
        jnp.sin(pitch),
        jnp.cos(pitch),
    )
    about_y = _matrix(
        jnp.cos(yaw),
        zero,
        jnp.sin(yaw),
        zero,
        one,
        zero,
        -jnp.sin(yaw),
        zero,
        jnp.cos(yaw),
    )
    about_z = _matrix(
        jnp.cos(roll),
        -jnp.sin(roll),
        zero,
        jnp.sin(roll),
        jnp.cos(roll),
        zero,
        zero,
        zero,
        one,
    )
    return jnp.swapaxes(chain(about_z, about_y, about_x), -1, -2)


def transform_keypoints(
    keypoints: Float[Array, "n k 3"],
    rotation: Float[Array, "n 3 3"],
    expression: Float[Array, "n k 3"],
    scale: Float[Array, "n 1"],
    translation: Float[Array, "n 3"],
) -> Float[Array, "n k 3"]:
    """Canonical keypoints -> those of a picture: `scale * (keypoints @ rotation +
    expression) + translation`.

    The z part of the translation is not applied.

    Source: LivePortrait, equation 2.
    """
    flat = translation * jnp.asarray([[1.0, 1.0, 0.0]], translation.dtype)
    return (
        scale[:, :, None] * (chain(keypoints, rotation) + expression) + flat[:, None, :]
    )


def chain(*matrices: Float[Array, "*n a b"]) -> Float[Array, "*n a c"]:
    """The product of matrices from left to right, in full float32: accelerators round
    the factors otherwise."""
    return functools.reduce(
        functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST), matrices
    )


def _matrix(*entries: Float[Array, "*n"]) -> Float[Array, "*n 3 3"]:
    return jnp.stack(entries, axis=-1).reshape(*entries[0].shape, 3, 3)


def _like(vector: Array, batched: Array) -> Array:
    return vector.reshape((1,) * (batched.ndim - 1) + vector.shape)
