"""Measures of mouths, lids and heads: pure functions on curves over frames at 30 a
second."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from jaxportrait.motion.space import MOTION_FPS
from train.evaluate.motion.metrics import LARGEST_LAG, correlation, lagged_correlations

Curve = Float[np.ndarray, " f"]

CLOSED = 0.15
"""Part of a clip's largest opening below which lips count as shut."""
BLINK_SHUT = 0.5
BLINK_OPEN = 0.3
"""A blink begins where lids shut beyond the one, and ends where they open beyond the
other."""


def agreement(
    measured: Curve, truth: Curve
) -> tuple[float, Float[np.ndarray, " lags"]]:
    """Return the correlation of two curves, cut to the shorter one, and their
    correlations at lags of -10 to 10 frames."""
    # a rendered video may be a frame longer than its truth
    n = min(len(measured), len(truth))
    lagged = lagged_correlations(measured[:n], truth[:n])
    return correlation(measured[:n], truth[:n]), lagged


def best_lag(correlations: Float[np.ndarray, " lags"]) -> int:
    """Return by how many frames the measured curve follows the truth, where they agree
    best."""
    return int(np.argmax(correlations)) - LARGEST_LAG


def disagreement(measured: Curve, others: Sequence[Curve]) -> float:
    """Return the mean correlation with the truth of other sentences."""
    correlations = [agreement(measured, other)[0] for other in others]
    return float(np.mean(correlations))


def shut_closures(
    opening: Curve, closures: Float[np.ndarray, "k 2"]
) -> Bool[np.ndarray, " k"]:
    """Return which closures have a frame with shut lips, among the frames that they
    touch; those beyond the end are left out.

    Args:
      opening: opening of the mouth in each frame.
      closures: start and end in seconds.
    """
    is_shut = opening < CLOSED * opening.max()
    frames = np.arange(len(opening))
    # seconds -> frames
    first, last = closures.T * MOTION_FPS
    is_after = frames >= np.floor(first)[:, None]
    is_before = frames <= np.ceil(last)[:, None]
    touches = is_after & is_before
    return (touches & is_shut).any(axis=1)[touches.any(axis=1)]


def share_shut(
    openings: Sequence[Curve], closures: Sequence[Float[np.ndarray, "k 2"]]
) -> float | None:
    """Return the share of the closures of all clips in which lips are shut; None where
    there is no closure."""
    # a closure counts in the clip it belongs to
    pairs = zip(openings, closures, strict=True)
    is_shut = np.concatenate([shut_closures(*pair) for pair in pairs])
    return float(is_shut.mean()) if is_shut.size else None


def blinks(blink: Curve) -> int:
    """Count how often lids shut and open again, or are shut at the end."""
    count = 0
    is_shut = False
    for value in blink:
        if not is_shut and value > BLINK_SHUT:
            count += 1
            is_shut = True
        elif is_shut and value < BLINK_OPEN:
            is_shut = False
    return count


def blink_rate(curves: Sequence[Curve]) -> float:
    """Return blinks a minute over all clips."""
    count = sum(blinks(curve) for curve in curves)
    frames = sum(len(curve) for curve in curves)
    return count / (frames / MOTION_FPS / 60)


def deviation(curves: Sequence[Float[np.ndarray, "f d"]]) -> Float[np.ndarray, " d"]:
    """Return the standard deviation within clips: of each value about its clip's mean,
    over the frames of all."""
    # speakers that sit elsewhere do not count as movement
    centered = np.concatenate([curve - curve.mean(axis=0) for curve in curves])
    return np.sqrt(np.square(centered).mean(axis=0))
