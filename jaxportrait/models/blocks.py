"""Layers that two or more networks share, and the exact rewrite of a network for
inference.

Every layer computes in its `dtype`; statistics of norms, softmax and positions are
float32 whatever the dtype.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ops.conv.direct import convolve, half_padding
from jaxportrait.ops.conv.prepared import convolve_prepared, prepare, toom_cook_suits
from jaxportrait.ops.conv.upsampled import convolve_upsampled

NORM_EPSILON = 1e-5
SPECTRAL_EPSILON = 1e-12

fan_in_uniform = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(+-1 / sqrt(fan in)): PyTorch's default for the weights of convolutions."""


class Conv(nnx.Module):
    """A 1-, 2- or 3-D convolution, padded by half its kernel where that is odd, and not
    where it is even (patches).

    Its platform's fastest form is chosen in `ops.conv` and, for weights that no longer
    change, in `ops.prepared`.

    Args:
      kernel_size: a number an axis: (7, 7) or (3, 3, 3).
      groups: of channels, each convolved alone.
      upsample: the input is first repeated so many times along height and width.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Sequence[int],
        *,
        stride: int = 1,
        groups: int = 1,
        upsample: int = 1,
        use_bias: bool = True,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        shape = (*kernel_size, inputs // groups, outputs)
        bound = 1 / math.sqrt(math.prod(shape[:-1]))
        self.kernel: Any = nnx.data(nnx.Param(fan_in_uniform(rngs.params(), shape)))
        self.bias: Any = (
            nnx.Param(_uniform(rngs, (outputs,), bound)) if use_bias else None
        )
        self.stride, self.groups, self.upsample, self.dtype = (
            stride,
            groups,
            upsample,
            dtype,
        )
        self.padding = tuple(half_padding(self.kernel[...]))
        self.prepared: Any = nnx.data(None)

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *Space o"]:
        y = self._convolve(x.astype(self.dtype))
        return (
            y
            if self.bias is None
            else y + channelwise(self.bias[...].astype(self.dtype), y)
        )

    def _convolve(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *Space o"]:
        if self.prepared is not None:
            kernels = [kernel[...].astype(self.dtype) for kernel in self.prepared]
            return convolve_prepared(x, kernels, self.upsample, list(self.padding))
        kernel = self.kernel[...].astype(self.dtype)
        if self.upsample > 1:
            return convolve_upsampled(x, kernel, self.upsample)
        return convolve(
            x,
            kernel,
            stride=self.stride,
            padding=list(self.padding),
            groups=self.groups,
        )

    def prepare(self) -> None:
        """Do once what can be done to the kernel, if it will not change."""
        if self.kernel is None or self.stride > 1 or self.groups > 1:
            return
        kernel = self.kernel[...]
        kernels = prepare(kernel, self.upsample, toom_cook=toom_cook_suits(self.dtype))
        if kernels[0] is not kernel:
            self.prepared = nnx.List([nnx.Param(kernel) for kernel in kernels])
            self.kernel = None


class ConvNorm(nnx.Module):
    """A convolution and a batch norm after it, which inference folds into the
    convolution."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: Sequence[int],
        *,
        upsample: int = 1,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            inputs, outputs, kernel_size, upsample=upsample, dtype=dtype, rngs=rngs
        )
        self.norm: Any = nnx.data(batch_norm(outputs, dtype=dtype, rngs=rngs))

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *Space o"]:
        x = self.conv(x)
        return x if self.norm is None else self.norm(x)

    def fold(self) -> None:
        if self.norm is None:
            return
        scale = self.norm.scale[...] * (self.norm.var[...] + NORM_EPSILON) ** -0.5
        kernel, bias = self.conv.kernel, self.conv.bias
        kernel[...] = kernel[...] * channelwise(scale, kernel[...])
        bias[...] = (bias[...] - self.norm.mean[...]) * scale + self.norm.bias[...]
        self.norm = None


class SpectralConv(nnx.Module):
    """A 2-D convolution whose weights are divided by their spectral norm, estimated as
    u W v.

    `u` and `v` are the stored singular vectors. They need not have converged, nor be of
    length 1: averages are not. In training (`network.train()`) each call brings them a
    power iteration nearer.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks",
    2018; PyTorch's form.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: tuple[int, int],
        *,
        use_bias: bool = True,
        dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            inputs, outputs, kernel_size, use_bias=use_bias, dtype=dtype, rngs=rngs
        )
        u, v = (
            jax.random.normal(rngs.params(), shape)
            for shape in ((outputs,), (*kernel_size, inputs))
        )
        self.u: Any = nnx.data(nnx.BatchStat(u / jnp.linalg.norm(u)))
        self.v: Any = nnx.data(nnx.BatchStat(v / jnp.linalg.norm(v.ravel())))
        self.use_running_average = (
            True  # as flax calls it, of all that is measured in training
        )

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w o"]:
        if self.u is None:
            return self.conv(x)
        if not self.use_running_average:
            self._iterate()
        # A convolution is linear in its kernel: dividing its output spares a second
        # kernel in memory.
        kernel, bias = self.conv.kernel[...].astype(self.conv.dtype), self.conv.bias
        y = convolve(x.astype(self.conv.dtype), kernel, padding=half_padding(kernel))
        y = y / self._norm().astype(y.dtype)
        return y if bias is None else y + channelwise(bias[...].astype(y.dtype), y)

    def _iterate(self) -> None:
        kernel = lax.stop_gradient(self.conv.kernel[...])
        v = jnp.einsum("hwio,o->hwi", kernel, self.u[...])
        self.v[...] = v = v / (jnp.linalg.norm(v.ravel()) + SPECTRAL_EPSILON)
        u = jnp.einsum("hwio,hwi->o", kernel, v)
        self.u[...] = u / (jnp.linalg.norm(u) + SPECTRAL_EPSILON)

    def _norm(self) -> Float[Array, ""]:
        u, v = self.u[...], self.v[...]
        projected = (self.conv.kernel[...] * v[..., None]).sum(axis=(0, 1, 2))
        return (projected * u).sum() / (jnp.linalg.norm(u) * jnp.linalg.norm(v.ravel()))

    def fold(self) -> None:
        if self.u is None:
            return
        self.conv.kernel[...] = self.conv.kernel[...] / self._norm()
        self.u = self.v = None


Layer = TypeVar("Layer", Conv, nnx.Linear)


class GatedConvMLP(nnx.Module):
    """A gated MLP of 1-D convolutions without biases: w2(silu(w1 x) * w3 x).

    Source: MMAudio; Shazeer, "GLU variants improve Transformer", 2020.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        kernel_size: int,
        *,
        dtype: DTypeLike,
        rngs: nnx.Rngs,
    ):
        def conv(inputs: int, outputs: int) -> Conv:
            return Conv(
                inputs, outputs, (kernel_size,), use_bias=False, dtype=dtype, rngs=rngs
            )

        self.w1: Any = nnx.data(conv(width, hidden))
        self.w2 = conv(hidden, width)
        self.w3: Any = nnx.data(conv(width, hidden))
        self.joined: Any = nnx.data(None)

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        gate, value = (
            (self.w1(x), self.w3(x))
            if self.joined is None
            else jnp.split(self.joined(x), 2, axis=-1)
        )
        return self.w2(nnx.silu(gate) * value)

    def fold(self) -> None:
        if self.joined is None:
            self.joined = join([self.w1, self.w3])
            self.w1 = self.w3 = None


@runtime_checkable
class Foldable(Protocol):
    """A layer that has an equal form with fewer operations, once its weights no longer
    change."""

    def fold(self) -> None: ...


def fold(network: nnx.Module) -> None:
    """Rewrite a network in place for inference.

    Norms with stored statistics go into the weights beside them, convolutions that read
    the same become one, and what can be done to a kernel once is done. Plain arithmetic
    alone, so that weights still on the host are folded there and nothing is compiled.
    """
    for _, module in list(nnx.iter_modules(network)):
        if isinstance(module, Foldable):
            module.fold()
    for _, module in list(nnx.iter_modules(network)):
        if isinstance(module, Conv):
            module.prepare()


def join(layers: Sequence[Layer]) -> Layer:
    """One layer with the outputs of several that read the same, one after the other."""
    wide = nnx.clone(layers[0])
    for leaf in ("kernel", "bias") if layers[0].bias is not None else ("kernel",):
        values = [getattr(layer, leaf)[...] for layer in layers]
        setattr(
            wide,
            leaf,
            nnx.Param(values[0].__array_namespace__().concatenate(values, axis=-1)),
        )
    if isinstance(wide, nnx.Linear):
        wide.out_features = wide.kernel.shape[-1]
    return wide


def batch_norm(
    channels: int, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
) -> nnx.BatchNorm:
    """A batch norm with PyTorch's momentum (flax counts what is kept)."""
    return nnx.BatchNorm(
        channels, momentum=0.9, epsilon=NORM_EPSILON, dtype=dtype, rngs=rngs
    )


def channelwise(
    vector: Float[Array, " c"], like: Float[Array, "*space c"]
) -> Float[Array, "*ones c"]:
    """A vector over channels, shaped to meet `like` (ranks are never promoted
    silently)."""
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)


def _uniform(
    rngs: nnx.Rngs, shape: tuple[int, ...], bound: float
) -> Float[Array, "..."]:
    return jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound)
