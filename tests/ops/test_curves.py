"""Curves over time."""

import numpy as np
from numpy.testing import assert_allclose

from jaxportrait.ops.curves import interpolate_rows, smoothstep


def test_a_smoothstep_has_no_slope_at_its_ends():
    shares = np.array([0.0, 1e-4, 0.5, 1 - 1e-4, 1.0])
    rises = smoothstep(shares)
    assert_allclose(rises, [0, 0, 0.5, 1, 1], atol=1e-7)


def test_rows_are_linear_between_their_times_and_held_beyond_them():
    rows = np.array([[0.0, 8.0], [4.0, 0.0]])
    moments = np.array([-1.0, 1.5, 2.0, 9.0])
    between = interpolate_rows(moments, [1.0, 3.0], rows)
    assert_allclose(between, [[0, 8], [1, 6], [2, 4], [4, 0]])
