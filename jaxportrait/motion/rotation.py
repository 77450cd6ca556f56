"""Head rotations on the host: matrices that rotate row vectors, and their angles."""

import numpy as np
from jaxtyping import Float, Float32, Float64

SMALLEST_SINE = 1e-12
"""Sine of an angle below which two rotations are equal in float64."""


def matrices_of(angles: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3 3"]:
    """Return the matrices of pitch, yaw and roll, as `ops.geometry.rotation_matrix`.

    Args:
      angles: pitch, yaw and roll in degrees.
    """
    radians = np.deg2rad(np.asarray(angles, np.float64))
    pitch, yaw, roll = radians.T
    about_x = _about_axis(pitch, 0)
    about_y = _about_axis(yaw, 1)
    about_z = _about_axis(roll, 2)
    # The product rotates column vectors; its transpose rotates row vectors.
    product = about_z @ about_y @ about_x
    return _transpose(product).astype(np.float32)


def angles_of(matrices: Float[np.ndarray, "n 3 3"]) -> Float32[np.ndarray, "n 3"]:
    """Return pitch, yaw and roll in degrees, the inverse of `matrices_of`.

    Yaw lies within a right angle of zero.
    """
    # Rows and columns first: an entry is that of all rotations.
    entries = np.asarray(matrices, np.float64)
    x, y, z = np.moveaxis(entries, 0, -1)
    cosine_of_yaw = np.hypot(x[0], x[1])
    pitch = np.arctan2(y[2], z[2])
    yaw = np.arctan2(-x[2], cosine_of_yaw)
    roll = np.arctan2(x[1], x[0])
    radians = np.stack([pitch, yaw, roll], axis=1)
    return np.rad2deg(radians).astype(np.float32)


def interpolate(
    first: Float[np.ndarray, "n 3 3"],
    second: Float[np.ndarray, "n 3 3"],
    weight: Float[np.ndarray, " n"],
) -> Float32[np.ndarray, "n 3 3"]:
    """Turn `first` towards `second` about one axis.

    Rotations that are half a turn apart have no such axis; `first` is returned there.

    Args:
      first: rotations at weight 0.
      second: rotations at weight 1.
      weight: share of the angle between the two.
    """
    start = np.asarray(first, np.float64)
    end = np.asarray(second, np.float64)
    # The rotation that is left to do.
    relative = _transpose(start) @ end
    # The antisymmetric part of a rotation is its axis times the sine of its angle.
    antisymmetric = relative - _transpose(relative)
    antisymmetric /= 2
    squares = np.square(antisymmetric).sum(axis=(1, 2))
    sine = np.sqrt(squares / 2)
    cosine = (np.trace(relative, axis1=1, axis2=2) - 1) / 2
    angle = weight * np.arctan2(sine, cosine)
    # Equal rotations have no axis: it stays zero.
    divisor = np.where(sine > SMALLEST_SINE, sine, 1.0)
    axis = antisymmetric / divisor[:, None, None]
    # Rodrigues' formula.
    angle = angle[:, None, None]
    turn = np.eye(3) + np.sin(angle) * axis
    turn += (1 - np.cos(angle)) * (axis @ axis)
    return (start @ turn).astype(np.float32)


def _about_axis(
    angle: Float64[np.ndarray, " n"], axis: int
) -> Float64[np.ndarray, "n 3 3"]:
    """Return the matrices that rotate column vectors about x (0), y (1) or z (2)."""
    following = (axis + 1) % 3
    last = (axis + 2) % 3
    cosine = np.cos(angle)
    sine = np.sin(angle)
    # Rows and columns first, so that an entry is set for all rotations.
    matrices = np.zeros((3, 3, len(angle)))
    # Points on the axis stay; the other two turn in their plane.
    matrices[axis, axis] = 1
    matrices[following, following] = cosine
    matrices[last, last] = cosine
    matrices[following, last] = -sine
    matrices[last, following] = sine
    return np.moveaxis(matrices, -1, 0)


def _transpose(matrices: Float64[np.ndarray, "n 3 3"]) -> Float64[np.ndarray, "n 3 3"]:
    return np.swapaxes(matrices, 1, 2)
