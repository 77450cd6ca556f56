"""PyTorch's layers of the same weights, and conversions between the layouts."""

from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

from jaxportrait.models.blocks import Conv
from tests.arrays import draw

TORCH_CONVOLUTIONS = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}


def rngs() -> nnx.Rngs:
    # "rbg" compiles in a third of threefry's time.
    return nnx.Rngs(jax.random.key(0, impl="rbg"))


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def channels_last(x: torch.Tensor) -> np.ndarray:
    return np.moveaxis(x.detach().numpy(), 1, -1)


def as_torch(conv: Conv, **options: Any) -> torch.nn.Module:
    """Return PyTorch's convolution of the same weights."""
    kernel = np.asarray(conv.kernel[...])
    *taps, inputs, outputs = kernel.shape
    module = TORCH_CONVOLUTIONS[len(taps)](
        inputs * options.get("groups", 1),
        outputs,
        taps,
        bias=conv.use_bias,
        padding=[size // 2 if size % 2 else 0 for size in taps],
        **options,
    )
    weight = np.moveaxis(kernel, (-1, -2), (0, 1)).copy()
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
        if conv.use_bias:
            module.bias.copy_(torch.from_numpy(np.array(conv.bias[...])))
    return module


def randomise_statistics(norm: nnx.BatchNorm) -> None:
    """Draw the leaves of a batch norm: none at its initial zero or one."""
    channels = norm.mean[...].size
    norm.mean[...] = draw(channels, seed=1)
    norm.bias[...] = draw(channels, seed=2)
    norm.var[...] = 0.5 + draw(channels, seed=3) ** 2
    norm.scale[...] = 1 + 0.1 * draw(channels, seed=4)
