"""The measure of parity: the largest difference, as a share of the largest reference
value."""

import numpy as np
from numpy.typing import ArrayLike


def assert_close(ours: ArrayLike, reference: ArrayLike, bound: float):
    ours, reference = np.asarray(ours, np.float64), np.asarray(reference, np.float64)
    assert ours.shape == reference.shape
    error = np.abs(ours - reference).max() / np.abs(reference).max()
    assert error <= bound, f"{error:.2e} of the scale, the bound is {bound:.0e}"
