"""Flow matching: the path, its velocity, guidance, and the times of its integration."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from jaxportrait.ops.flow import euler_times, guide, interpolate, target_velocity
from tests.arrays import draw


@pytest.fixture
def ends() -> tuple[np.ndarray, np.ndarray]:
    """Noise and data of three samples."""
    noise = draw(3, 4, 5)
    data = draw(3, 4, 5, seed=1)
    return noise, data


def test_the_path_goes_from_noise_to_data(ends):
    noise, data = ends
    path = interpolate(noise, data, np.asarray([0, 0.25, 1], np.float32))
    # Time 0.25 is a quarter of the way.
    quarter = 0.75 * noise[1] + 0.25 * data[1]
    np.testing.assert_array_equal(path[0], noise[0])
    np.testing.assert_allclose(path[1], quarter, rtol=1e-6)
    np.testing.assert_array_equal(path[2], data[2])


def test_integrating_the_target_velocity_arrives_at_the_data(ends):
    noise, data = ends
    x = noise
    # The velocity is constant, so that Euler's method is exact.
    for start, end in pairwise(euler_times(25)):
        x = x + (end - start) * target_velocity(noise, data)
    np.testing.assert_allclose(x, data, atol=1e-6 * 25)  # a rounding a step


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 1.0), (1.0, 3.0), (4.5, 10.0)])
def test_guidance_goes_from_the_unconditional_past_the_conditional(scale, expected):
    assert guide(np.float32(3), np.float32(1), scale) == expected


def test_times_equal_those_of_torch_to_the_bit():
    for steps in range(1, 65):
        times = euler_times(steps)
        reference = torch.linspace(0, 1, steps + 1)
        assert times.dtype == np.float32
        np.testing.assert_array_equal(times, reference)
