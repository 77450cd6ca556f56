"""Steps of a diffusion, on normal data, whose best prediction is known."""

import numpy as np
import pytest

from jaxportrait.ops.diffusion import (
    DEFAULT_STEPS,
    ReverseSteps,
    ancestral_steps,
    cosine_schedule,
    multistep_steps,
    reverse_steps,
    sampled_numbers,
)

PUBLISHED = cosine_schedule(50)
FINE = cosine_schedule(1000)
"""So many steps that whole numbers hardly round them."""
MEAN = 0.5
"""Mean of the data."""


def sample(steps: ReverseSteps, deviation: float) -> np.ndarray:
    """Return what steps make of normal data, as factors of 1, of the noise at the start
    and of that of each step."""
    count = len(steps.number)
    # Everything is linear, so that factors stand for all samples.
    state = np.zeros(count + 2)
    state[1] = 1.0
    last = np.zeros(count + 2)
    for i in range(count):
        share = float(steps.data_share[i])
        noise_share = float(steps.noise_share[i])
        # The mean of the data, given the state.
        variance = (share * deviation) ** 2 + noise_share**2
        gain = share * deviation**2 / variance
        clean = gain * state
        clean[0] += MEAN * (1 - gain * share)
        # The step, with fresh noise of its own.
        data = steps.clean[i] * clean + steps.last[i] * last
        state = steps.state[i] * state + data
        state[2 + i] += steps.noise[i]
        last = clean
    return state


def deviation_share(steps: ReverseSteps, deviation: float) -> float:
    """Return the deviation of what steps make, over that of the data."""
    factors = sample(steps, deviation)
    return float(np.linalg.norm(factors[1:])) / deviation


def path_error(count: int, order: int) -> float:
    """Return by how much steps without fresh noise miss the end of their path."""
    deviation = 0.5
    steps = multistep_steps(FINE, count, order=order, fresh=0)
    factors = sample(steps, deviation)
    share = float(steps.data_share[0])
    noise_share = float(steps.noise_share[0])
    start = np.hypot(share * deviation, noise_share)
    # The path ends as many deviations from the mean as it starts.
    gain = deviation / start
    mean_error = factors[0] - (MEAN - gain * share * MEAN)
    gain_error = factors[1] - gain
    return float(max(abs(mean_error), abs(gain_error)))


def test_errors_fall_with_the_square_of_the_steps_at_second_order_only():
    second = [path_error(count, 2) for count in (25, 50, 100)]
    assert second[0] / second[1] > 3
    assert second[1] / second[2] > 3
    first = [path_error(count, 1) for count in (25, 50, 100)]
    assert 1.7 < first[0] / first[1] < 2.3
    assert 1.7 < first[1] / first[2] < 2.3
    assert second[0] < 0.2 * first[0]


# Movement as wide as the normalised motion, and finer one.
@pytest.mark.parametrize("deviation", [1.0, 0.3])
def test_default_steps_keep_the_datas_deviation_better_than_all_published_ones(
    deviation,
):
    default = deviation_share(multistep_steps(PUBLISHED, DEFAULT_STEPS), deviation)
    assert abs(default - 1) < 0.03
    # The published steps lose some of it.
    assert deviation_share(ancestral_steps(PUBLISHED), deviation) < 0.96
    # As many steps of first order lose more of it still.
    first = multistep_steps(PUBLISHED, DEFAULT_STEPS, order=1)
    assert deviation_share(first, deviation) < 0.93


def test_steps_end_at_the_mean_of_the_data():
    factors = sample(multistep_steps(PUBLISHED, DEFAULT_STEPS), 1.0)
    assert factors[0] == pytest.approx(MEAN, abs=0.01)


def assert_same(steps: ReverseSteps, expected: ReverseSteps, bound: float):
    np.testing.assert_array_equal(steps.number, expected.number)
    for name, values in vars(expected).items():
        difference = getattr(steps, name) - values
        assert np.abs(difference).max() <= bound, name


def test_all_steps_of_first_order_are_the_ancestral_ones():
    steps = multistep_steps(PUBLISHED, 50, order=1)
    assert_same(steps, ancestral_steps(PUBLISHED), 1e-5)


@pytest.mark.parametrize("count", [1, 7, 20])
def test_first_order_without_fresh_noise_is_ddim(count):
    numbers = sampled_numbers(50, count)
    bars = PUBLISHED.alpha_bars[numbers]
    before = bars[:-1]
    after = bars[1:]
    steps = multistep_steps(PUBLISHED, count, order=1, fresh=0)
    # The noise that the data leaves in the state is kept.
    state = np.sqrt((1 - after) / (1 - before))
    np.testing.assert_allclose(steps.state, state, atol=1e-6)
    clean = np.sqrt(after) - state * np.sqrt(before)
    np.testing.assert_allclose(steps.clean, clean, atol=1e-6)
    # No noise is fresh, and no earlier prediction counts.
    assert not steps.noise.any()
    assert not steps.last.any()


def test_one_step_is_the_predicted_data_at_any_order():
    ddim = multistep_steps(PUBLISHED, 1, order=1, fresh=0)
    steps = multistep_steps(PUBLISHED, 1)
    assert_same(steps, ddim, 0)
    assert (steps.state, steps.clean, steps.noise) == (0, 1, 0)


def test_the_first_and_the_last_step_use_no_earlier_prediction():
    steps = multistep_steps(PUBLISHED, 10)
    assert steps.last[0] == steps.last[-1] == 0
    assert (steps.last[1:-1] < 0).all()


@pytest.mark.parametrize("steps", [2, 10, 50, 1000])
def test_no_step_comes_twice_whatever_their_number(steps):
    for count in range(1, min(steps, 60) + 1):
        numbers = sampled_numbers(steps, count)
        assert (np.diff(numbers) < 0).all()
        assert (numbers[0], numbers[-1]) == (steps, 0)
    # All steps of a diffusion, down to the data.
    np.testing.assert_array_equal(sampled_numbers(50, 50), np.arange(50, -1, -1))


def test_as_many_steps_as_the_diffusion_has_are_the_published_ones():
    assert_same(reverse_steps(50, 50), ancestral_steps(PUBLISHED), 0)
    assert_same(reverse_steps(50, 20), multistep_steps(PUBLISHED, 20), 0)


@pytest.mark.parametrize("count", [0, 51])
def test_other_numbers_of_steps_are_refused(count):
    with pytest.raises(ValueError, match=f"steps is {count}: choose from 1 to 50"):
        reverse_steps(50, count)
