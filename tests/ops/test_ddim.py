"""Ditto's schedule and its steps, against PyTorch's rounding and golden figures."""

import jax
import numpy as np
import pytest
import torch

from jaxportrait.ops.ddim import (
    alpha_bars,
    ddim_factors,
    ddim_steps,
    noise_factors,
    sampling_times,
)
from tests.arrays import draw
from tests.closeness import assert_close


@pytest.fixture
def figures(golden):
    return np.load(golden / "ditto" / "sampling.npz")


@pytest.mark.parametrize("count", [5, 7, 10, 30, 50])
def test_steps_are_the_published_ones(figures, count):
    steps = ddim_factors(count)
    times = figures[f"schedule/{count}/times"]
    np.testing.assert_array_equal(sampling_times(count), times)
    np.testing.assert_array_equal(steps.time, times[:-1])
    # The last step ends at the clean data.
    assert_close(steps.fresh[:-1], figures[f"schedule/{count}/sigma"], 1e-6)
    assert_close(steps.noise[:-1], figures[f"schedule/{count}/c"], 1e-6)
    assert_close(steps.clean[:-1], figures[f"schedule/{count}/sqrt_alpha_next"], 1e-7)
    assert steps.fresh[-1] == steps.noise[-1] == 0
    assert steps.clean[-1] == 1


def test_times_are_those_of_torch_for_every_number_of_steps():
    for count in range(1, 1001):
        line = torch.linspace(-1, 999, steps=count + 1)
        expected = list(reversed(line.int().tolist()))
        assert sampling_times(count).tolist() == expected, count


def test_every_number_of_steps_is_finite():
    # Rounding makes the published 3 steps no numbers.
    for count in range(1, 1001):
        steps = ddim_steps(count)
        for values in jax.tree.leaves(steps):
            assert np.isfinite(values).all(), count


def test_the_last_step_ends_at_the_clean_data():
    steps = ddim_steps(4)
    assert steps.state[-1] == steps.noise[-1] == 0
    assert steps.clean[-1] == 1


def test_a_step_keeps_the_noise_that_the_data_leaves():
    factors = ddim_factors(5)
    steps = ddim_steps(5)
    state = draw(5, seed=1)
    clean = draw(5, seed=2)
    from_state, from_clean = noise_factors(alpha_bars()[factors.time])
    noise = from_state * state - from_clean * clean
    expected = factors.clean * clean + factors.noise * noise
    assert_close(steps.state * state + steps.clean * clean, expected, 1e-6)


def test_noise_is_what_was_added():
    bars = alpha_bars()[[100, 400, 999]]
    clean = draw(3, seed=1)
    noise = draw(3, seed=2)
    state = np.sqrt(bars) * clean + np.sqrt(1 - bars) * noise
    from_state, from_clean = noise_factors(bars)
    assert_close(from_state * state - from_clean * clean, noise, 1e-4)
