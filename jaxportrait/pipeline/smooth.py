"""Kalman smoothing of motion, for source videos."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float, Float64, Int

PROCESS_VARIANCE = 1e-5
"""Variance of a value's step from frame to frame. Source: LivePortrait, `smooth`."""
OBSERVATION_VARIANCE = 3e-7
"""Variance of a reading, by which it is smoothed. Source: LivePortrait,
`driving_smooth_observation_variance`."""
INITIAL_VARIANCE = 1.0
"""Variance before the first reading. Source: the default of pykalman, which LivePortrait
uses."""


def smooth(
    values: Float[np.ndarray, "n ..."], variance: float = OBSERVATION_VARIANCE
) -> Float64[np.ndarray, "n ..."]:
    """Smooth every value of a sequence by itself, with all of the sequence in view.

    A value is a random walk that is read with noise. All values have the same
    variances, so that the gains are numbers and not matrices.

    Args:
      values: one row a frame.
      variance: variance of the readings; 0 leaves the values as they are.

    Source: LivePortrait, `src/utils/filter.py`; Rauch, Tung and Striebel, "Maximum
    likelihood estimates of linear dynamic systems", 1965.
    """
    filtered = np.array(values, np.float64)
    variances = np.empty(len(values))
    # Forwards: every frame is estimated from the frames up to it.
    predicted = INITIAL_VARIANCE
    for frame in range(len(values)):
        gain = predicted / (predicted + variance)
        variances[frame] = (1 - gain) * predicted
        if frame > 0:
            change = filtered[frame] - filtered[frame - 1]
            filtered[frame] = filtered[frame - 1] + gain * change
        predicted = variances[frame] + PROCESS_VARIANCE
    # Backwards: the later frames correct it.
    for frame in reversed(range(len(values) - 1)):
        gain = variances[frame] / (variances[frame] + PROCESS_VARIANCE)
        filtered[frame] += gain * (filtered[frame + 1] - filtered[frame])
    return filtered


def smooth_shots(
    values: Float[np.ndarray, "n ..."], shots: Int[np.ndarray, " n"], variance: float
) -> Float64[np.ndarray, "n ..."]:
    """Smooth every shot by itself, so that nothing is smoothed over a cut.

    Args:
      shots: number of each frame's shot.
    """
    cuts = np.flatnonzero(np.diff(shots)) + 1
    parts = []
    for first, last in pairwise([0, *cuts, len(values)]):
        parts.append(smooth(values[first:last], variance))
    return np.concatenate(parts)
