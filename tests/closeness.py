"""The measure of parity: the largest difference, as a share of the largest reference
value."""

import numpy as np
from numpy.typing import ArrayLike


def assert_close(ours: ArrayLike, reference: ArrayLike, bound: float):
    """Compare two arrays of one shape.

    Args:
      ours: values of this project.
      reference: values of the original.
      bound: largest difference, as a share of the reference's largest value.
    """
    actual = np.asarray(ours, np.float64)
    expected = np.asarray(reference, np.float64)
    assert actual.shape == expected.shape
    scale = np.abs(expected).max()
    error = np.abs(actual - expected).max() / scale
    assert error <= bound, f"{error:.2e} of the scale, the bound is {bound:.0e}"
