"""The LMDM: what depends on the condition only, and what tells its frames apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.models.lmdm import LMDMConfig, time_waves
from tests.arrays import draw
from tests.closeness import assert_close
from tests.models.networks import drawn

CONFIG = LMDMConfig(7, 11, 16, 24, 2, 2, 1, 6)


def inputs(n: int = 2):
    return (
        jnp.asarray(draw(n, 6, 7, seed=1)),
        jnp.asarray(draw(n, 7, seed=2)),
        jnp.asarray(draw(n, 6, 11, seed=3)),
    )


def test_a_condition_is_encoded_once_for_all_steps():
    network = drawn(CONFIG)
    motion, earlier, values = inputs()
    condition = jax.jit(lambda network: network.encode_condition(values))(network)
    for time in (0, 500, 999):
        times = jnp.full((2,), time)
        whole = network(motion, earlier, times, values)
        # One step for the whole batch.
        step = network.encode_step(times[:1])
        parts = network.denoise(motion, earlier, step, condition)
        assert_close(parts, whole, 1e-6)


def test_the_null_condition_reads_no_condition():
    network = drawn(CONFIG)
    null = network.encode_null()
    assert null.key.shape == (1, 2, 6, 2, 8)
    motion, earlier, values = inputs()
    step = network.encode_step(jnp.array([10]))
    without = network.denoise(motion, earlier, step, null)
    condition = network.encode_condition(values)
    with_condition = network.denoise(motion, earlier, step, condition)
    assert np.abs(without - with_condition).max() > 0.01


def test_frames_are_told_apart_by_their_positions():
    network = drawn(CONFIG)
    motion, earlier, values = inputs()
    order = jnp.array([5, 3, 1, 0, 2, 4])
    time = jnp.array([10, 10])
    plain = network(motion, earlier, time, values)
    permuted = network(motion[:, order], earlier, time, values[:, order])
    assert np.abs(permuted - plain[:, order]).max() > 0.01


def test_waves_are_sines_and_then_cosines():
    waves = time_waves(jnp.array([0, 3]), 8)
    assert_close(waves[0], [0, 0, 0, 0, 1, 1, 1, 1], 1e-7)
    frequencies = 10_000.0 ** (-np.arange(4) / 3)
    expected = np.concatenate([np.sin(3 * frequencies), np.cos(3 * frequencies)])
    assert_close(waves[1], expected, 1e-6)


def test_half_precision_is_near(lenient_promotion):
    motion, earlier, values = inputs()
    time = jnp.array([10, 10])
    exact = drawn(CONFIG)(motion, earlier, time, values)
    half = drawn(CONFIG, "bfloat16")(motion, earlier, time, values)
    assert half.dtype == jnp.float32
    assert_close(half, exact, 3e-2)


@pytest.fixture
def lenient_promotion():
    """Flax's norms have JAX promote bfloat16, which the strict rules forbid."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize("width", [2, 15])
def test_widths_without_positions_are_refused(width):
    with pytest.raises(ValueError, match="width is"):
        LMDMConfig(7, 11, width, 24, 1, 2)
