"""How sampled motion differs from the truth: pure functions on motion at 30 frames a
second."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from jaxportrait.drivers.windows import WindowPlan
from jaxportrait.motion.space import MOTION_FPS, MotionSpace

Motion = Float[np.ndarray, "frames d"]
Samples = Float[np.ndarray, "*seeds frames d"]

LARGEST_LAG = 10
"""Frames by which lips are sought before and after the sound."""


def keypoint_error(sampled: Samples, truth: Motion, space: MotionSpace) -> float:
    """Mean distance between the keypoints' offsets of two motions, in the network's
    units.

    Offsets are expression alone: pose, translation and scale do not count.
    """
    return float(
        np.linalg.norm(
            _offsets(sampled, space) - _offsets(truth, space), axis=-1
        ).mean()
    )


def has_pose(space: MotionSpace) -> bool:
    return space.has_pose


def pose_error(sampled: Samples, truth: Motion, space: MotionSpace) -> float:
    """Mean distance between pitch, yaw and roll of two motions, in degrees; of a space
    that has them."""
    angles = space.pose
    return float(
        np.linalg.norm(sampled[..., angles] - truth[..., angles], axis=-1).mean()
    )


def movement(motion: Motion, order: int) -> float:
    """Mean magnitude of a motion's differences: velocities for order 1, accelerations
    for order 2."""
    return float(np.abs(np.diff(motion, order, axis=0)).mean())


def ratio(value: float, reference: float) -> float | None:
    """None where the reference is 0, as for the movement of what rests."""
    return value / reference if reference > 0 else None


def frechet_distance(first: Motion, second: Motion) -> float:
    """Fréchet distance between the normal distributions that two sets of frames have.

    Source: Dowson and Landau, "The Fréchet distance between multivariate normal
    distributions", 1982.
    """
    means, (a, b) = (
        (first.mean(axis=0), second.mean(axis=0)),
        (_covariance(first), _covariance(second)),
    )
    root = _square_root(a)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)).sum()
    return float(
        np.square(means[0] - means[1]).sum() + np.trace(a) + np.trace(b) - 2 * cross
    )


def diversity(samples: Samples) -> float:
    """Root mean square of the deviation (n - 1) over seeds."""
    return float(np.sqrt(samples.var(axis=0, ddof=1).mean()))


def at_seams(
    plan: WindowPlan, count: int, frames: int
) -> Bool[np.ndarray, " inner_frames"]:
    """Which of the frames 1 to n - 2 lie right before or after the start or the end of
    one of `count` windows."""
    starts = np.arange(count) * plan.stride
    borders = np.concatenate([starts, starts + plan.motion_frames])
    inner = np.arange(1, frames - 1)
    return np.isin(inner, borders) | np.isin(inner + 1, borders)


def seam_ratio(
    motions: Sequence[Motion], seams: Sequence[Bool[np.ndarray, " inner_frames"]]
) -> float | None:
    """Mean magnitude of second differences at window borders divided by that elsewhere.

    None where there is no border, or no second difference elsewhere.

    Args:
      seams: of each motion, by `at_seams`.
    """
    bends = np.concatenate(
        [np.abs(np.diff(motion, 2, axis=0)).mean(axis=1) for motion in motions]
    )
    where = np.concatenate(list(seams))
    if where.all() or not where.any():
        return None
    return ratio(float(bends[where].mean()), float(bends[~where].mean()))


def lagged_correlations(
    signal: Float[np.ndarray, " frames"], sound: Float[np.ndarray, " frames"]
) -> Float[np.ndarray, " lags"]:
    """Correlation of a signal with a sound that it follows by -10 to 10 frames; 0 where
    either is constant."""
    n = len(sound)
    lags = range(-LARGEST_LAG, LARGEST_LAG + 1)
    return np.array(
        [
            correlation(signal[max(lag, 0) : n + lag], sound[max(-lag, 0) : n - lag])
            for lag in lags
        ]
    )


def lag_milliseconds(correlations: Float[np.ndarray, " lags"]) -> float:
    """By how much the signal follows the sound, where they agree best."""
    return (int(np.argmax(correlations)) - LARGEST_LAG) * 1000 / MOTION_FPS


def correlation(
    first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]
) -> float:
    """Pearson's; 0 where either is constant."""
    a, b = first - first.mean(), second - second.mean()
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / scale) if scale > 0 else 0.0


def _offsets(
    motion: Samples, space: MotionSpace
) -> Float[np.ndarray, "*seeds frames k 3"]:
    expression = space.expression
    return motion[..., expression].reshape(*motion.shape[:-1], -1, 3)


def _covariance(frames: Motion) -> Float[np.ndarray, "d d"]:
    return np.atleast_2d(np.cov(frames, rowvar=False))


def _square_root(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """Of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
