"""Kalman smoothing: a constant stays, noise shrinks, and a cut is no step to smooth."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.pipeline.smooth import (
    OBSERVATION_VARIANCE,
    PROCESS_VARIANCE,
    smooth,
    smooth_shots,
)


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.01, (frames, 3))


def test_the_published_constants():
    assert (PROCESS_VARIANCE, OBSERVATION_VARIANCE) == (1e-5, 3e-7)


def test_a_constant_stays_and_no_variance_changes_nothing():
    assert_allclose(smooth(np.full((9, 2, 2), 0.7)), 0.7, rtol=1e-12)
    values = noise(20)
    assert_allclose(smooth(values, 0.0), values, atol=1e-15)
    assert_array_equal(smooth(values[:1]), values[:1])


def test_a_larger_variance_smooths_more():
    values = noise(200)
    roughness = []
    for variance in (0.0, 3e-7, 1e-5, 1e-3):
        steps = np.diff(smooth(values, variance), axis=0)
        roughness.append(np.abs(steps).mean())
    assert roughness == sorted(roughness, reverse=True)
    assert roughness[-1] < 0.2 * roughness[0]


def test_the_smoother_is_the_best_linear_estimate():
    """Solve the same least squares problem with one matrix."""
    values = noise(12)
    variance = 2e-5
    # Steps between frames, readings, and the start, which is the first reading.
    steps = np.diff(np.eye(12), axis=0) / np.sqrt(PROCESS_VARIANCE)
    readings = np.eye(12) / np.sqrt(variance)
    start = np.eye(12)[:1]
    zeros = np.zeros((11, 3))
    target = np.concatenate([zeros, values / np.sqrt(variance), values[:1]])
    equations = np.concatenate([steps, readings, start])
    expected, *_ = np.linalg.lstsq(equations, target, rcond=None)
    assert_allclose(smooth(values, variance), expected, atol=1e-12)


@pytest.mark.parametrize("variance", [3e-7, 1e-3])
def test_shots_are_smoothed_apart(variance):
    values = noise(20)
    values[12:] += 5
    shots = np.repeat([0, 1], [12, 8])
    parts = [smooth(part, variance) for part in (values[:12], values[12:])]
    smoothed = smooth_shots(values, shots, variance)
    assert_array_equal(smoothed, np.concatenate(parts))
