"""What mouths, lids and heads did: pure functions on curves over frames at 30 a
second."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from jaxportrait.motion.space import MOTION_FPS
from train.evaluate.motion.metrics import LARGEST_LAG, correlation, lagged_correlations

Curve = Float[np.ndarray, " f"]

CLOSED = 0.15
"""Of a clip's largest opening; below it lips count as shut."""
BLINK_SHUT, BLINK_OPEN = 0.5, 0.3
"""A blink begins where lids shut beyond the one, and ends where they open beyond the
other."""


def agreement(
    measured: Curve, truth: Curve
) -> tuple[float, Float[np.ndarray, " lags"]]:
    """Correlation of two curves, cut to the shorter one, and their correlations at lags
    of -10 to 10 frames."""
    n = min(len(measured), len(truth))
    return correlation(measured[:n], truth[:n]), lagged_correlations(
        measured[:n], truth[:n]
    )


def best_lag(correlations: Float[np.ndarray, " lags"]) -> int:
    """Frames by which the measured curve follows the truth, where they agree best."""
    return int(np.argmax(correlations)) - LARGEST_LAG


def disagreement(measured: Curve, others: Sequence[Curve]) -> float:
    """Mean correlation with the truth of other sentences."""
    return float(np.mean([agreement(measured, other)[0] for other in others]))


def shut_closures(
    opening: Curve, closures: Float[np.ndarray, "k 2"]
) -> Bool[np.ndarray, " k"]:
    """Which closures have a frame with shut lips, among the frames that they touch;
    those beyond the end are left out.

    Args:
      closures: start and end in seconds.
    """
    shut = opening < CLOSED * opening.max()
    frames = np.arange(len(opening))
    first, last = closures.T * MOTION_FPS
    touched = (frames >= np.floor(first)[:, None]) & (frames <= np.ceil(last)[:, None])
    return (touched & shut).any(axis=1)[touched.any(axis=1)]


def blinks(blink: Curve) -> int:
    """How often lids shut and open again, or are shut at the end."""
    count, is_shut = 0, False
    for value in blink:
        if not is_shut and value > BLINK_SHUT:
            count, is_shut = count + 1, True
        elif is_shut and value < BLINK_OPEN:
            is_shut = False
    return count


def blink_rate(curves: Sequence[Curve]) -> float:
    """Blinks a minute over all clips."""
    return sum(map(blinks, curves)) / (sum(map(len, curves)) / MOTION_FPS / 60)


def deviation(curves: Sequence[Float[np.ndarray, "f d"]]) -> Float[np.ndarray, " d"]:
    """Standard deviation within clips: of each value about its clip's mean, over the
    frames of all."""
    centered = np.concatenate([curve - curve.mean(axis=0) for curve in curves])
    return np.sqrt(np.square(centered).mean(axis=0))
