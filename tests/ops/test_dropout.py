"""Dropout: shares, rows of their own, and nothing in inference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.attention import attend
from jaxportrait.ops.dropout import KEEP, Dropout

KEYS = jax.random.split(jax.random.key(0), 8)


def test_values_are_zero_or_larger_so_that_their_mean_stays():
    values = jnp.ones((8, 100, 40))
    drop = Dropout(KEYS, 0.1)
    first = np.asarray(drop(values))
    np.testing.assert_allclose(np.unique(first), [0, 1 / 0.9], rtol=1e-6)
    assert (first == 0).mean() == pytest.approx(0.1, abs=0.01)
    # Every call has masks of its own.
    assert (np.asarray(drop(values)) != first).any()
    np.testing.assert_array_equal(Dropout(KEYS, 0.1)(values), first)


def test_a_row_has_the_same_masks_whatever_rows_are_beside_it():
    values = jnp.ones((8, 50))
    whole = Dropout(KEYS, 0.5)(values)
    part = Dropout(KEYS[3:5], 0.5)(values[3:5])
    np.testing.assert_array_equal(part, whole[3:5])
    assert (whole[3] != whole[4]).any()


def test_rows_leave_blocks_out():
    before = jnp.zeros((8, 3, 2))
    after = jnp.ones((8, 3, 2))
    drop = Dropout(KEYS, 0.0, 0.5)
    outputs = np.asarray(drop.block(before, after))
    # A row leaves out all of a block or nothing.
    assert {float(row.mean()) for row in outputs} == {0.0, 1.0}
    assert drop(after) is after


def test_inference_leaves_nothing_out():
    x = jnp.ones((2, 3))
    assert KEEP(x) is x
    assert KEEP.block(jnp.zeros((2, 3)), x) is x


def test_weights_of_attention_are_left_out():
    query, key, value = jax.random.normal(jax.random.key(1), (3, 8, 5, 2, 4))
    # Of a single item, heads see it or nothing.
    single = attend(query, key[:, :1], value[:, :1], Dropout(KEYS, 0.5))
    heads = np.asarray(single).reshape(8, 5, 2, 4)
    share = heads / np.asarray(value[:, :1])
    np.testing.assert_allclose(np.unique(share.round(3)), [0, 2], atol=1e-3)
    # Others are left out head by head and query by query.
    whole = attend(query, key, value)
    some = attend(query, key, value, Dropout(KEYS, 0.5))
    assert (np.abs(some - whole).max(axis=-1) > 1e-3).all()
