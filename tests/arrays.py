"""Arrays of drawn values."""

import numpy as np


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Draw standard normal float32 values."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def draw_uniform(low: float, high: float, *shape: int, seed: int = 0) -> np.ndarray:
    """Draw float32 values between two bounds."""
    values = np.random.default_rng(seed).uniform(low, high, shape)
    return values.astype(np.float32)
