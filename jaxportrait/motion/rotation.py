"""Head rotations on the host: matrices that rotate row vectors, and their angles."""

import numpy as np
from jaxtyping import Float, Float32, Float64


def matrices_of(angles: Float[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3 3"]:
    """Return the matrices of pitch, yaw and roll, as `ops.geometry.rotation_matrix`.

    Args:
      angles: in degrees.
    """
    radians = np.deg2rad(np.asarray(angles, np.float64))
    pitch = _about_axis(radians[:, 0], 0)
    yaw = _about_axis(radians[:, 1], 1)
    roll = _about_axis(radians[:, 2], 2)
    # The product rotates column vectors; its transpose rotates row vectors.
    return _transpose(roll @ yaw @ pitch).astype(np.float32)


def angles_of(matrices: Float[np.ndarray, "n 3 3"]) -> Float32[np.ndarray, "n 3"]:
    """Return pitch, yaw and roll in degrees, the inverse of `matrices_of`.

    Yaw lies within a right angle of zero.
    """
    columns = _transpose(np.asarray(matrices, np.float64))
    pitch = np.arctan2(columns[:, 2, 1], columns[:, 2, 2])
    cosine = np.hypot(columns[:, 0, 0], columns[:, 1, 0])
    yaw = np.arctan2(-columns[:, 2, 0], cosine)
    roll = np.arctan2(columns[:, 1, 0], columns[:, 0, 0])
    return np.rad2deg(np.stack([pitch, yaw, roll], axis=1)).astype(np.float32)


def interpolate(
    first: Float[np.ndarray, "n 3 3"],
    second: Float[np.ndarray, "n 3 3"],
    weight: Float[np.ndarray, " n"],
) -> Float32[np.ndarray, "n 3 3"]:
    """Turn `first` towards `second` about one axis, by the share `weight` of the angle.

    Rotations that are half a turn apart have no such axis; `first` is returned there.
    """
    start = np.asarray(first, np.float64)
    relative = _transpose(start) @ np.asarray(second, np.float64)
    # The antisymmetric part of a rotation is its axis times the sine of its angle.
    antisymmetric = (relative - _transpose(relative)) / 2
    sine = np.sqrt(np.square(antisymmetric).sum(axis=(1, 2)) / 2)
    cosine = (np.trace(relative, axis1=1, axis2=2) - 1) / 2
    angle = weight * np.arctan2(sine, cosine)
    divisor = np.where(sine > 1e-12, sine, 1.0)
    axis = antisymmetric / divisor[:, None, None]
    # Rodrigues' formula
    sines = np.sin(angle)[:, None, None]
    versines = (1 - np.cos(angle))[:, None, None]
    turn = np.eye(3) + sines * axis + versines * (axis @ axis)
    return (start @ turn).astype(np.float32)


def _about_axis(
    angle: Float64[np.ndarray, " n"], axis: int
) -> Float64[np.ndarray, "n 3 3"]:
    """Return the matrices that rotate column vectors about x (0), y (1) or z (2)."""
    following = (axis + 1) % 3
    last = (axis + 2) % 3
    matrices = np.zeros((len(angle), 3, 3))
    matrices[:, axis, axis] = 1
    matrices[:, following, following] = np.cos(angle)
    matrices[:, last, last] = np.cos(angle)
    matrices[:, following, last] = -np.sin(angle)
    matrices[:, last, following] = np.sin(angle)
    return matrices


def _transpose(matrices: Float64[np.ndarray, "n 3 3"]) -> Float64[np.ndarray, "n 3 3"]:
    return np.swapaxes(matrices, 1, 2)
