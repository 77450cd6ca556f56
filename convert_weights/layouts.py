"""torch tensor -> nnx leaf: how each kind of layer is laid out on either side.

PyTorch keeps outputs first and channels before space; here space comes first and
outputs last.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Shape = tuple[int, ...]
Layout = Callable[[np.ndarray, Shape], np.ndarray]
"""(torch tensor, shape of the leaf) -> the leaf. What does not fit is returned as it
is: the engine compares shapes."""


@dataclass(frozen=True)
class TensorRule:
    """One tensor of a layer.

    Attributes:
      torch_name: name in PyTorch's layer; empty where the prefix is the tensor.
      leaf_name: name of the leaf within our layer.
      layout: layout of the tensor as the leaf.
    """

    torch_name: str
    leaf_name: str
    layout: Layout


def same(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    return tensor


def outputs_last(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """Return a kernel, (out, in, *taps), as (*taps, in, out)."""
    return (
        tensor.transpose(*range(2, tensor.ndim), 1, 0) if tensor.ndim >= 2 else tensor
    )


def without_leading_ones(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """Return a vector, (1, ..., 1, n), as (n,)."""
    return tensor.reshape(-1) if (tensor.size,) == tensor.shape[-1:] else tensor


def first(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """Return a tensor that was stored as a batch of one, (1, ...), as (...)."""
    return tensor[0] if tensor.shape[:1] == (1,) else tensor


def singular_vector(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """Return a spectral norm's input side, flat over (in, *taps), as (*taps, in)."""
    # PyTorch flattens (inputs, taps), channels first.
    *taps, inputs = shape
    return (
        np.moveaxis(tensor.reshape(inputs, *taps), 0, -1)
        if tensor.size == np.prod(shape)
        else tensor
    )


def interleaved_heads(tensor: np.ndarray, shape: Shape) -> np.ndarray:
    """Return a projection whose outputs unpack as (head, dim, {q, k, v}).

    (out, in) becomes (in, 3, head, dim), and (out,) becomes (3, head, dim).
    """
    # Other shapes are left to the engine, which names them.
    *_, three, heads, dim = shape
    if tensor.shape[:1] != (three * heads * dim,):
        return tensor
    return np.moveaxis(
        tensor.reshape(heads, dim, three, *tensor.shape[1:]), (2, 0, 1), (-3, -2, -1)
    )


def _layer(
    kernel: Layout = outputs_last, bias: Layout = same
) -> tuple[TensorRule, ...]:
    return (TensorRule("weight", "kernel", kernel), TensorRule("bias", "bias", bias))


_AFFINE = (TensorRule("weight", "scale", same), TensorRule("bias", "bias", same))
_SPECTRAL = (
    TensorRule("weight_orig", "conv.kernel", outputs_last),
    TensorRule("weight_u", "u", same),
    TensorRule("weight_v", "v", singular_vector),
)

# Torch's names on the left, those of Flax on the right.
KINDS: dict[str, tuple[TensorRule, ...]] = {
    "linear": _layer(),
    "linear_without_bias": _layer()[:1],
    "conv1d": _layer(),
    "conv2d": _layer(),
    "conv3d": _layer(),
    "spectral_conv": (*_SPECTRAL, TensorRule("bias", "conv.bias", same)),
    "spectral_conv_without_bias": _SPECTRAL,
    "batch_norm": (
        *_AFFINE,
        TensorRule("running_mean", "mean", same),
        TensorRule("running_var", "var", same),
    ),
    "layer_norm": _AFFINE,
    "rms_norm": _AFFINE[:1],
    "response_norm": (
        TensorRule("gamma", "gamma", without_leading_ones),
        TensorRule("beta", "beta", without_leading_ones),
    ),
    "gated_mlp": tuple(
        TensorRule(f"{w}.weight", f"{w}.kernel", outputs_last)
        for w in ("w1", "w2", "w3")
    ),
    "qkv": _layer(interleaved_heads, interleaved_heads),
    "packed_qkv": (
        TensorRule("in_proj_weight", "kernel", outputs_last),
        TensorRule("in_proj_bias", "bias", same),
    ),
    "array": (TensorRule("", "", same),),
    "first": (TensorRule("", "", first),),
    "row": (TensorRule("", "", without_leading_ones),),
}
"""Kind of layer -> its tensors."""
