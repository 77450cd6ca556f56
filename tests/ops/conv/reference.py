"""Inputs of convolutions, and PyTorch's results."""

import numpy as np
import torch
import torch.nn.functional as F

from jaxportrait.ops.conv import Padding
from tests.arrays import draw

BOUND = 1e-6
TOOM_COOK_BOUND = 5e-5
"""Sums of rows with unequal weights round more."""


def draw_kernel(*shape: int) -> np.ndarray:
    """Draw a kernel that keeps the size of the values it reads."""
    return draw(*shape, seed=1) / np.sqrt(np.float32(np.prod(shape[:-1])))


def torch_convolve(
    x: np.ndarray, kernel: np.ndarray, padding: Padding, **options: int
) -> np.ndarray:
    """Convolve channels-last maps by PyTorch in float64."""
    rank = kernel.ndim - 2
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    # (n, *space, c) -> (n, c, *space)
    inputs = torch.from_numpy(np.moveaxis(x, -1, 1).astype(np.float64))
    # PyTorch reads padding from the last axis to the first.
    sides = [side for axis in reversed(padding) for side in axis]
    inputs = F.pad(inputs, sides)
    # (*taps, i, o) -> (o, i, *taps)
    weights = np.moveaxis(kernel, (-1, -2), (0, 1)).astype(np.float64)
    y = convolve(inputs, torch.from_numpy(weights), **options)
    return np.moveaxis(y.numpy(), 1, -1)
