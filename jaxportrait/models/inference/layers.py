"""Inference forms of the layers that networks share."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxportrait.models.blocks import (
    NORM_EPSILON,
    Conv,
    ConvNorm,
    GatedConvMLP,
    SpectralConv,
    channelwise,
)
from jaxportrait.models.inference.rewrite import join, replace
from jaxportrait.ops.conv import convolve_prepared, prepare, toom_cook_suits
from jaxportrait.types import AnyArray


class PreparedConv(Conv):
    """A convolution whose kernel was prepared: merged taps, or a Toom-Cook form."""

    def __init__(self, conv: Conv, kernels: Sequence[AnyArray]):
        self.kernels = nnx.List([nnx.Param(kernel) for kernel in kernels])
        if conv.use_bias:
            self.bias = conv.bias
        self.use_bias = conv.use_bias
        self.upsample = conv.upsample
        self.padding = conv.padding
        self.dtype = conv.dtype

    def convolve(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *Space o"]:
        kernels = [kernel[...].astype(self.dtype) for kernel in self.kernels]
        return convolve_prepared(x, kernels, self.upsample, self.padding)


class JoinedGatedConvMLP(nnx.Module):
    """A gated MLP whose two first convolutions are one."""

    def __init__(self, mlp: GatedConvMLP):
        self.joined = join([mlp.w1, mlp.w3])
        self.w2 = mlp.w2

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        # The halves of the joined output are those of w1 and w3.
        gate, value = jnp.split(self.joined(x), 2, axis=-1)
        return self.w2(nnx.silu(gate) * value)


def prepare_kernel(conv: Conv) -> Conv:
    """Do once what can be done to a kernel; return `conv` itself if that is nothing."""
    # Only dense convolutions of stride 1 have a faster form.
    if conv.stride > 1 or conv.groups > 1:
        return conv
    kernel = conv.kernel[...]
    kernels = prepare(kernel, conv.upsample, toom_cook=toom_cook_suits(conv.dtype))
    return conv if kernels[0] is kernel else PreparedConv(conv, kernels)


def fold_batch_norm(layer: ConvNorm) -> Conv:
    """Fold a batch norm, which scales and shifts each channel, into the convolution."""
    conv = layer.conv
    norm: Any = layer.norm  # Flax's may lack a scale or a bias, ours has both
    # y = (conv(x) - mean) * scale + norm bias, a convolution again
    scale = norm.scale[...] * (norm.var[...] + NORM_EPSILON) ** -0.5
    kernel = conv.kernel[...]
    kernel = kernel * channelwise(scale, kernel)
    bias = (conv.bias[...] - norm.mean[...]) * scale + norm.bias[...]
    return replace(conv, kernel=nnx.Param(kernel), bias=nnx.Param(bias))


def fold_spectral_norm(layer: SpectralConv) -> Conv:
    """Divide a kernel by its spectral norm."""
    # Stored singular vectors no longer change, so the norm is a constant.
    kernel = layer.conv.kernel[...] / layer.spectral_norm()
    return replace(layer.conv, kernel=nnx.Param(kernel))
