"""Dropout: shares, rows of their own, and nothing in inference."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.ops.attention import attend
from jaxportrait.ops.dropout import KEEP, Dropout

KEYS = random.split(random.key(0), 8)


def test_values_are_zero_or_larger_so_that_their_mean_stays():
    values = jnp.ones((8, 100, 40))
    drop = Dropout(KEYS, 0.1)
    first = np.asarray(drop(values))
    second = np.asarray(drop(values))
    assert_allclose(np.unique(first), [0, 1 / 0.9], rtol=1e-6)
    share = np.mean(first == 0)
    assert share == pytest.approx(0.1, abs=0.01)
    # Every call has masks of its own.
    assert np.any(second != first)
    again = Dropout(KEYS, 0.1)
    assert_array_equal(again(values), first)


def test_a_row_has_the_same_masks_whatever_rows_are_beside_it():
    values = jnp.ones((8, 50))
    drop = Dropout(KEYS, 0.5)
    whole = np.asarray(drop(values))
    two_rows = slice(3, 5)
    drop = Dropout(KEYS[two_rows], 0.5)
    part = drop(values[two_rows])
    assert_array_equal(part, whole[two_rows])
    assert np.any(whole[3] != whole[4])


def test_rows_leave_blocks_out():
    before = jnp.zeros((8, 3, 2))
    after = jnp.ones((8, 3, 2))
    drop = Dropout(KEYS, 0.0, 0.5)
    outputs = np.asarray(drop.block(before, after))
    # A row leaves out all of a block or nothing.
    means = outputs.mean(axis=(1, 2))
    assert set(means.tolist()) == {0.0, 1.0}
    assert drop(after) is after


def test_inference_leaves_nothing_out():
    x = jnp.ones((2, 3))
    y = jnp.zeros((2, 3))
    assert KEEP(x) is x
    assert KEEP.block(x, y) is y


def test_weights_of_attention_are_left_out():
    shape = (3, 8, 5, 2, 4)
    query, key, value = random.normal(random.key(1), shape)
    # Of a single item, heads see it or nothing.
    first_key = key[:, :1]
    first_value = value[:, :1]
    drop = Dropout(KEYS, 0.5)
    single = attend(query, first_key, first_value, drop)
    heads = np.asarray(single)
    heads = heads.reshape(8, 5, 2, 4)
    share = heads / np.asarray(first_value)
    shares = np.unique(share.round(3))
    assert_allclose(shares, [0, 2], atol=1e-3)
    # With a rate, others are not seen as without.
    whole = attend(query, key, value)
    some = attend(query, key, value, drop)
    assert np.any(some != whole)
