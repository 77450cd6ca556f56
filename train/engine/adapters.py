"""Low-rank adapters: a kernel stays fixed, and a product of two thin matrices is added
to it.

An adapter of `blocks.0.out.kernel` is two parameters, `blocks.0.out.kernel.lora_a` (n,
rank) and `blocks.0.out.kernel.lora_b` (rank, m), of a kernel that is (n, m) as a
matrix. A convolution's inputs are its taps and channels.

Source: Hu et al., "LoRA: low-rank adaptation of large language models", 2021.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial, reduce
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from jaxportrait.models.blocks import Conv, fan_in_uniform
from jaxportrait.models.mmdit import Projection, QueryKeyValue
from train.engine.config import ConfigError, LoraConfig
from train.engine.trainable import select

Leaf = TypeVar("Leaf", Array, np.ndarray)
Adapters = dict[str, Array]
DOWN, UP = ".lora_a", ".lora_b"
"""Suffixes of a kernel's path: the matrix from the inputs, and that to the outputs."""


def choose_targets(config: LoraConfig, default: tuple[str, ...]) -> LoraConfig:
    """Return `config` with a stage's default targets where it has none."""
    return replace(config, targets=config.targets or default) if config.rank else config


def draw_adapters(
    params: Mapping[str, Array], config: LoraConfig, key: PRNGKeyArray
) -> Adapters:
    """Return new adapters of the kernels that `config` targets; they change nothing
    yet.

    Args:
      params: all parameters of the networks.
      config: rank and targets.
      key: key of the draws.

    Raises:
      ConfigError: a pattern matches no kernel.
    """
    adapters: Adapters = {}
    # Biases and scales of a network that a pattern names stay as they are.
    kernels = sorted(name for name, leaf in params.items() if is_kernel(name, leaf))
    targets = select(kernels, config.targets, TARGETS, "kernel")
    for index, name in enumerate(targets):
        inputs, outputs = matrix_shape(params[name].shape)
        shape = (inputs, config.rank)
        adapters[name + DOWN] = fan_in_uniform(jax.random.fold_in(key, index), shape)
        # Zeros: the first update starts from the network as it is.
        adapters[name + UP] = jnp.zeros((config.rank, outputs))
    return adapters


def is_kernel(name: str, leaf: Array) -> bool:
    """Return whether a parameter multiplies a layer's inputs."""
    return name.endswith(".kernel") and leaf.ndim >= 2


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return a kernel's number of inputs and of outputs."""
    # Outputs are the last axis; queries, keys and values have them as (3, heads, dim).
    inputs = shape[0] if len(shape) == 4 else math.prod(shape[:-1])
    return inputs, math.prod(shape) // inputs


def scale_adapters(params: Mapping[str, Leaf], config: LoraConfig) -> dict[str, Leaf]:
    """Return parameters whose adapters have their factor, alpha / rank."""
    if not config.rank:
        return dict(params)
    factor = np.float32(config.alpha / config.rank)
    return {
        name: leaf * factor if name.endswith(DOWN) else leaf
        for name, leaf in params.items()
    }


def merge_adapters(params: Mapping[str, Leaf], config: LoraConfig) -> dict[str, Leaf]:
    """Return the parameters of a network that computes the same without adapters."""
    merged = {}
    scaled = scale_adapters(params, config)
    for name, leaf in scaled.items():
        if name + DOWN in scaled:
            change = scaled[name + DOWN] @ scaled[name + UP]
            leaf = leaf + change.reshape(leaf.shape)
        if not name.endswith((DOWN, UP)):
            merged[name] = leaf
    return merged


def attach_adapters(network: nnx.Module, params: Mapping[str, Array]) -> None:
    """Let a network's layers add what the adapters among `params` make of their inputs.

    The product with the whole kernel has no gradient of the kernel, which would cost a
    third of an update.
    """
    for name in params:
        if name.endswith(DOWN):
            kernel = name.removesuffix(DOWN)
            # path.to.parent.layer.kernel
            *path, layer, _ = kernel.split(".")
            parent = reduce(_child, path, network)
            adapted = _adapted(kernel, getattr(parent, layer))
            # The network is an update's own: it is built again in every trace.
            setattr(parent, layer, adapted(params[name], params[kernel + UP]))


class AdaptedLinear(nnx.Module):
    """A linear layer and its adapter.

    Args:
      layer: the layer as it is.
      down: matrix from the inputs, with its factor.
      up: matrix to the outputs.
    """

    def __init__(self, layer: Any, down: Float[Array, "n r"], up: Float[Array, "r m"]):
        self.layer = layer
        self.down = nnx.Param(down)
        self.up = nnx.Param(up)

    def __call__(self, x: Float[Array, "... n"]) -> Float[Array, "... m"]:
        y = self.layer(x)
        return y + self.expand(x.astype(y.dtype) @ self.down[...].astype(y.dtype))

    def expand(self, low: Float[Array, "... r"]) -> Float[Array, "... m"]:
        """Return what the adapter adds, of its inputs reduced to the rank."""
        return low @ self.up[...].astype(low.dtype)


class AdaptedConv(AdaptedLinear):
    """A convolution over a sequence and its adapter, whose first matrix is a convolution
    to as many channels as the rank."""

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t o"]:
        y = self.layer(x)
        taps, inputs, _ = self.layer.kernel[...].shape
        # All taps at once, before they are shifted: ranks are narrower than inputs.
        kernel = self.down[...].reshape(taps, inputs, -1).astype(y.dtype)
        low = jnp.einsum("ntc,kcr->nktr", x.astype(y.dtype), kernel)
        return y + self.expand(add_taps(low))


def add_taps(parts: Float[Array, "n k t r"]) -> Float[Array, "n t r"]:
    """Add what each tap of an odd convolution makes of its neighbour in a sequence."""
    taps, steps = parts.shape[1:3]
    half = taps // 2
    padded = jnp.pad(parts, ((0, 0), (0, 0), (half, half), (0, 0)))
    shifted = [padded[:, tap, tap : tap + steps] for tap in range(taps)]
    return sum(shifted[1:], shifted[0])


class AdaptedQueryKeyValue(AdaptedLinear):
    """The projection to queries, keys and values, and its adapter."""

    def __call__(
        self, x: Float[Array, "n t c"], rotary: Float[np.ndarray, "t half 2"]
    ) -> Projection:
        y = self.layer.product(x)
        low = x.astype(y.dtype) @ self.down[...].astype(y.dtype)
        return self.layer.finish(y + self.expand(low), rotary)


TARGETS = "lora.targets"
ADAPTED: dict[type[nnx.Module], type[AdaptedLinear]] = {
    nnx.Linear: AdaptedLinear,
    Conv: AdaptedConv,
    QueryKeyValue: AdaptedQueryKeyValue,
}
"""Layers that can be adapted, and what takes their place."""


def _adapted(kernel: str, layer: Any) -> "partial[AdaptedLinear]":
    """Return the constructor of what takes a layer's place.

    Raises:
      ConfigError: the layer cannot be adapted.
    """
    kind = ADAPTED.get(type(layer))
    if kind is None or (isinstance(layer, Conv) and not _is_plain(layer)):
        raise ConfigError(
            f"{TARGETS} matches {kernel}, of a {type(layer).__name__} that has no adapter: leave it out"
        )
    return partial(kind, layer)


def _is_plain(layer: Conv) -> bool:
    """Return whether a convolution is over a sequence, which keeps its length."""
    shape = layer.kernel[...].shape
    is_dense = layer.stride == layer.groups == layer.upsample == 1
    return is_dense and len(shape) == 3 and shape[0] % 2 == 1


def _child(module: Any, name: str) -> Any:
    return module[int(name)] if name.isdecimal() else getattr(module, name)
