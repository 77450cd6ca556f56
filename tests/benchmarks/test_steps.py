"""The comparison of fewer steps with all of them."""

import numpy as np
import pytest

from benchmarks.steps import agreement, difference, jerk


def swing(phase: float = 0.0) -> np.ndarray:
    """Return four turns of a sine and a cosine."""
    angles = phase + np.linspace(0, 8 * np.pi, 200, endpoint=False)
    return np.stack([np.sin(angles), np.cos(angles)], axis=1)


def test_motion_is_compared_with_that_of_all_steps():
    whole = swing()
    assert difference(whole, whole) == 0
    assert agreement(whole, whole) == pytest.approx(1)
    # Half a turn later everything is the opposite.
    assert difference(swing(np.pi), whole) == pytest.approx(2)
    assert agreement(swing(np.pi), whole) == pytest.approx(-1)
    assert jerk(2 * whole) == pytest.approx(2 * jerk(whole))
