"""Differences between sampled motion and the truth: pure functions on motion at 30
frames a second."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from jaxportrait.drivers.windows import WindowPlan
from jaxportrait.motion.space import MOTION_FPS, MotionSpace

Frames = Float[np.ndarray, "frames d"]
Samples = Float[np.ndarray, "*seeds frames d"]

ROUNDING = 1e-12
"""Share of a constant that rounding may make vary, in float64."""
LARGEST_LAG = 10
"""Most frames by which lips are compared before and after the sound."""
LAG_CORRELATION = 0.3
"""Least correlation at which a lag means something."""


def keypoint_error(sampled: Samples, truth: Frames, space: MotionSpace) -> float:
    """Return the mean distance between the keypoints' offsets of two motions, in the
    network's units.

    Offsets are the expression only: pose, translation and scale do not count.
    """
    difference = _offsets(sampled, space) - _offsets(truth, space)
    return float(np.linalg.norm(difference, axis=-1).mean())


def centered_keypoint_error(
    sampled: Samples, truth: Frames, space: MotionSpace
) -> float:
    """Return the mean distance between the keypoints' offsets of two motions, each
    about its own mean over the clip.

    A resting face that is not the speaker's counts for nothing here, and movement for
    all.
    """
    difference = _offsets(sampled, space) - _offsets(truth, space)
    # seeds frames k 3: the mean is over frames
    difference -= difference.mean(axis=-3, keepdims=True)
    return float(np.linalg.norm(difference, axis=-1).mean())


def pose_error(sampled: Samples, truth: Frames, space: MotionSpace) -> float:
    """Return the mean distance between pitch, yaw and roll of two motions, in degrees;
    the space has them."""
    difference = sampled[..., space.pose] - truth[..., space.pose]
    return float(np.linalg.norm(difference, axis=-1).mean())


def movement(motion: Frames, order: int) -> float:
    """Return the mean magnitude of a motion's differences: velocities for order 1,
    accelerations for order 2, jerks for order 3."""
    return float(np.abs(np.diff(motion, order, axis=0)).mean())


def ratio(value: float, reference: float) -> float | None:
    """Return a ratio; None if the reference is 0, like the movement of a face at
    rest."""
    return value / reference if reference > 0 else None


def frechet_distance(first: Frames, second: Frames) -> float:
    """Return the Fréchet distance between the normal distributions of two sets of
    frames.

    Source: Dowson and Landau, "The Fréchet distance between multivariate normal
    distributions", 1982.
    """
    a = _covariance(first)
    b = _covariance(second)
    root = _square_root(a)
    # rounding may make an eigenvalue of 0 slightly negative
    eigenvalues = np.maximum(np.linalg.eigvalsh(root @ b @ root), 0)
    shift = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    shape = np.trace(a) + np.trace(b) - 2 * np.sqrt(eigenvalues).sum()
    return float(shift + shape)


def diversity(samples: Samples) -> float:
    """Return the root mean square of the deviation (n - 1) over seeds."""
    return float(np.sqrt(samples.var(axis=0, ddof=1).mean()))


def at_seams(
    plan: WindowPlan, count: int, frames: int
) -> Bool[np.ndarray, " inner_frames"]:
    """Return which of the frames 1 to n - 2 lie right before or after the start or the
    end of one of `count` windows."""
    starts = np.arange(count) * plan.stride
    borders = np.concatenate([starts, starts + plan.motion_frames])
    # second differences exist between the first and the last frame
    inner = np.arange(1, frames - 1)
    return np.isin(inner, borders) | np.isin(inner + 1, borders)


def seam_ratio(
    motions: Sequence[Frames], seams: Sequence[Bool[np.ndarray, " inner_frames"]]
) -> float | None:
    """Return the mean magnitude of second differences at window borders divided by that
    elsewhere.

    None if there is no border, or no second difference elsewhere.

    Args:
      motions: motions of clips.
      seams: frames of each motion at borders, by `at_seams`.
    """
    bends = [np.abs(np.diff(motion, 2, axis=0)).mean(axis=1) for motion in motions]
    bend = np.concatenate(bends)
    is_seam = np.concatenate(list(seams))
    if is_seam.all() or not is_seam.any():
        return None
    return ratio(float(bend[is_seam].mean()), float(bend[~is_seam].mean()))


def lagged_correlations(
    signal: Float[np.ndarray, " frames"], sound: Float[np.ndarray, " frames"]
) -> Float[np.ndarray, " lags"]:
    """Return the correlation of a signal with a sound that it follows by -10 to 10
    frames; 0 if either is constant."""
    n = len(sound)
    correlations = []
    for lag in range(-LARGEST_LAG, LARGEST_LAG + 1):
        # both parts have n - |lag| frames
        late = signal[max(lag, 0) : n + lag]
        early = sound[max(-lag, 0) : n - lag]
        correlations.append(correlation(late, early))
    return np.array(correlations)


def lag_milliseconds(correlations: Float[np.ndarray, " lags"]) -> float | None:
    """Return by how much the signal follows the sound, where they agree best; None
    where they hardly agree, since the best lag is chance then."""
    if correlations.max() <= LAG_CORRELATION:
        return None
    frames = int(np.argmax(correlations)) - LARGEST_LAG
    return frames * 1000 / MOTION_FPS


def correlation(
    first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]
) -> float:
    """Return Pearson's correlation; 0 if either is constant, up to rounding."""
    a = first - first.mean()
    b = second - second.mean()
    for deviation, values in ((a, first), (b, second)):
        if np.linalg.norm(deviation) <= ROUNDING * np.linalg.norm(values):
            return 0.0
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _offsets(
    motion: Samples, space: MotionSpace
) -> Float[np.ndarray, "*seeds frames k 3"]:
    expression = motion[..., space.expression]
    # ... 3k -> ... k 3
    return expression.reshape(*motion.shape[:-1], -1, 3)


def _covariance(frames: Frames) -> Float[np.ndarray, "d d"]:
    # NumPy returns a number for a single column
    return np.atleast_2d(np.cov(frames, rowvar=False))


def _square_root(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    """Return the root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.maximum(values, 0))
    return (vectors * roots) @ vectors.T
