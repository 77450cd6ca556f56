"""Rotary positions: the angles, the turn, and what they are for."""

import jax.numpy as jnp
import numpy as np

from jaxportrait.ops.rope import rotary_table, rotate
from tests.closeness import assert_close

BOUND = 1e-6
DIM = 64


def test_angles_are_positions_times_falling_frequencies():
    angles = np.arange(30)[:, None] * 10_000.0 ** (-np.arange(0, DIM, 2) / DIM)
    assert_close(
        rotary_table(30, DIM), np.stack([np.cos(angles), np.sin(angles)], axis=-1), 5e-6
    )  # float32 angles to 30 rad


def test_audio_and_motion_of_the_same_time_have_the_same_angle():
    motion, audio = rotary_table(30, DIM), rotary_table(50, DIM, position_scale=30 / 50)
    assert_close(
        audio[::5], motion[::3], 5e-6
    )  # position 30 * 0.6 is rounded in float32


def test_neighbouring_pairs_turn():
    x = np.asarray([1, 0, 0, 2], np.float32).reshape(1, 1, 1, 4)
    table = np.asarray([[[0, 1], [np.cos(0.5), np.sin(0.5)]]], np.float32)
    expected = [0, 1, -2 * np.sin(0.5), 2 * np.cos(0.5)]
    np.testing.assert_allclose(rotate(x, table).ravel(), expected, atol=BOUND)


def test_products_depend_on_the_distance_of_positions_alone():
    query, key = np.random.default_rng(0).standard_normal((2, 1, 1, 2, DIM), np.float32)
    table = rotary_table(40, DIM)

    def products(shift: int) -> np.ndarray:
        turned = (
            rotate(query, table[7 + shift][None]),
            rotate(key, table[2 + shift][None]),
        )
        return np.asarray(jnp.sum(turned[0] * turned[1], axis=-1))

    assert_close(products(20), products(0), 1e-5)  # angles to 40 rad, sums of 64
    assert np.abs(products(0) - (query * key).sum(-1)).max() > 0.1


def test_half_precision_is_turned_in_float32():
    x = jnp.asarray(
        np.random.default_rng(0).standard_normal((1, 30, 2, DIM)), jnp.bfloat16
    )
    table = rotary_table(30, DIM)
    turned = rotate(x, table)
    assert turned.dtype == jnp.bfloat16
    np.testing.assert_array_equal(
        turned, rotate(x.astype(jnp.float32), table).astype(jnp.bfloat16)
    )
