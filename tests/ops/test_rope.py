"""Rotary positions: the angles, the turn, and what they are for."""

import jax.numpy as jnp
import numpy as np

from jaxportrait.ops.rope import rotary_table, rotate
from tests.arrays import draw
from tests.closeness import assert_close

BOUND = 1e-6
DIM = 64


def test_angles_are_positions_times_falling_frequencies():
    frequencies = 10_000.0 ** (-np.arange(0, DIM, 2) / DIM)
    positions = np.arange(30)
    angles = positions[:, None] * frequencies
    expected = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    # Angles are float32, to 30 rad.
    assert_close(rotary_table(30, DIM), expected, 5e-6)


def test_audio_and_motion_of_the_same_time_have_the_same_angle():
    motion = rotary_table(30, DIM)
    audio = rotary_table(50, DIM, position_scale=30 / 50)
    # Position 30 * 0.6 is rounded in float32.
    assert_close(audio[::5], motion[::3], 5e-6)


def test_neighbouring_pairs_turn():
    # One head with the pairs (1, 0) and (0, 2).
    x = np.asarray([1, 0, 0, 2], np.float32)
    x = x.reshape(1, 1, 1, 4)
    cosine = np.cos(0.5)
    sine = np.sin(0.5)
    # A quarter turn, and half a radian.
    table = np.asarray([[[0, 1], [cosine, sine]]], np.float32)
    expected = [0, 1, -2 * sine, 2 * cosine]
    np.testing.assert_allclose(rotate(x, table).ravel(), expected, atol=BOUND)


def test_products_depend_only_on_the_distance_of_positions():
    query = draw(1, 1, 2, DIM)
    key = draw(1, 1, 2, DIM, seed=1)
    table = rotary_table(40, DIM)

    def products(shift: int) -> np.ndarray:
        # Five positions apart, wherever they are.
        turned_query = rotate(query, table[7 + shift][None])
        turned_key = rotate(key, table[2 + shift][None])
        return np.asarray(jnp.sum(turned_query * turned_key, axis=-1))

    # Angles to 40 rad, sums of 64 values.
    assert_close(products(20), products(0), 1e-5)
    without_positions = (query * key).sum(-1)
    assert np.abs(products(0) - without_positions).max() > 0.1


def test_half_precision_is_turned_in_float32():
    x = jnp.asarray(draw(1, 30, 2, DIM), jnp.bfloat16)
    table = rotary_table(30, DIM)
    turned = rotate(x, table)
    expected = rotate(x.astype(jnp.float32), table)
    expected = expected.astype(jnp.bfloat16)
    assert turned.dtype == jnp.bfloat16
    np.testing.assert_array_equal(turned, expected)
