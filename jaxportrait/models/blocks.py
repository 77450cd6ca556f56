"""Layers that two or more networks share.

Every layer computes in its `dtype`. Statistics of norms, softmax and positions are
float32 whatever the dtype. `models.inference` rewrites layers whose weights no longer
change.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxportrait.ops.conv import convolve, convolve_upsampled, half_padding

NORM_EPSILON = 1e-5
"""PyTorch's default for batch, instance and layer norms."""
SPECTRAL_EPSILON = 1e-12
"""PyTorch's default for spectral norms."""

fan_in_uniform = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""U(+-1 / sqrt(fan in)): PyTorch's default for the weights of convolutions."""


class BlockSizes(NamedTuple):
    """Widths of a transformer block's tokens and of its MLP, and its heads."""

    width: int
    hidden: int
    heads: int


class Conv(nnx.Module):
    """A 1-, 2- or 3-D convolution.

    An odd kernel is padded by half its size. An even one is not: it reads patches.
    `ops.conv` chooses the form that is fastest on a platform.

    Args:
      kernel_size: taps along each axis: (7, 7) or (3, 3, 3).
      groups: groups of channels, each convolved apart from the others.
      upsample: how many times the input is first repeated along height and width.
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
        self.kernel = nnx.Param(fan_in_uniform(rngs.params(), shape))
        if use_bias:
            # PyTorch draws a bias from the range of its weights: 1 / sqrt(fan in).
            bound = 1 / math.sqrt(math.prod(shape[:-1]))
            self.bias = nnx.Param(_uniform(rngs, (outputs,), bound))
        self.use_bias = use_bias
        self.stride = stride
        self.groups = groups
        self.upsample = upsample
        self.padding = tuple(half_padding(self.kernel[...]))
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *Space o"]:
        return self.add_bias(self.convolve(x.astype(self.dtype)))

    # Apart from the bias, so that a spectral norm can divide the result in between.
    def convolve(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *Space o"]:
        """Convolve `x`, which is of the layer's dtype, without the bias."""
        kernel = self.kernel[...].astype(self.dtype)
        if self.upsample > 1:
            return convolve_upsampled(x, kernel, self.upsample)
        return convolve(
            x, kernel, stride=self.stride, padding=self.padding, groups=self.groups
        )

    def add_bias(self, y: Float[Array, "n *space o"]) -> Float[Array, "n *space o"]:
        if not self.use_bias:
            return y
        # The dtype is that of `y`: a float32 bias would widen half precision.
        return y + channelwise(self.bias[...].astype(y.dtype), y)


class ConvNorm(nnx.Module):
    """A convolution and a batch norm after it."""

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
        self.norm = batch_norm(outputs, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *Space o"]:
        return self.norm(self.conv(x))


class SpectralConv(nnx.Module):
    """A 2-D convolution whose weights are divided by their spectral norm.

    The norm is estimated as u W v from stored singular vectors. They need not have
    converged, nor be of length 1: averages are not. In training (`network.train()`)
    each call brings them a power iteration nearer.

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
        # Singular vectors of the kernel as a matrix: outputs x (taps and inputs).
        u = jax.random.normal(rngs.params(), (outputs,))
        v = jax.random.normal(rngs.params(), (*kernel_size, inputs))
        self.u = nnx.BatchStat(u / jnp.linalg.norm(u))
        self.v = nnx.BatchStat(v / jnp.linalg.norm(v.ravel()))
        # Flax's name for the switch between training and evaluation, as in batch norms.
        self.use_running_average = True

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w o"]:
        if not self.use_running_average:
            self.iterate()
        # A convolution is linear in its kernel. Dividing its output instead keeps a
        # second kernel out of memory.
        y = self.conv.convolve(x.astype(self.conv.dtype))
        return self.conv.add_bias(y / self.spectral_norm().astype(y.dtype))

    def iterate(self) -> None:
        """Update the singular vectors by one power iteration."""
        # The vectors count as constants in the gradient, as in PyTorch.
        kernel = lax.stop_gradient(self.conv.kernel[...])
        v = jnp.einsum("hwio,o->hwi", kernel, self.u[...])
        v = v / (jnp.linalg.norm(v.ravel()) + SPECTRAL_EPSILON)
        u = jnp.einsum("hwio,hwi->o", kernel, v)
        self.v[...] = v
        self.u[...] = u / (jnp.linalg.norm(u) + SPECTRAL_EPSILON)

    def spectral_norm(self) -> Float[Array, ""]:
        """Return the estimate of the kernel's largest singular value."""
        u = self.u[...]
        v = self.v[...]
        xp = u.__array_namespace__()  # NumPy's where the weights are on the host
        projection = (self.conv.kernel[...] * v[..., None]).sum(axis=(0, 1, 2))
        # The vectors need not be of length 1.
        lengths = xp.linalg.norm(u) * xp.linalg.norm(v.ravel())
        return (projection * u).sum() / lengths


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

        self.w1 = conv(width, hidden)
        self.w2 = conv(hidden, width)
        self.w3 = conv(width, hidden)

    def __call__(self, x: Float[Array, "n t c"]) -> Float[Array, "n t c"]:
        return self.w2(nnx.silu(self.w1(x)) * self.w3(x))


def check_heads(width: int, heads: int) -> None:
    """Raise a ValueError unless attention heads divide a width evenly."""
    if width % heads:
        raise ValueError(f"heads is {heads}: it must divide the width, {width}")


def batch_norm(
    channels: int, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
) -> nnx.BatchNorm:
    """Return a batch norm with PyTorch's momentum of 0.1; Flax counts the complement."""
    return nnx.BatchNorm(
        channels, momentum=0.9, epsilon=NORM_EPSILON, dtype=dtype, rngs=rngs
    )


def layer_norm(
    channels: int,
    *,
    epsilon: float = NORM_EPSILON,
    dtype: DTypeLike = jnp.float32,
    rngs: nnx.Rngs,
) -> nnx.LayerNorm:
    """Return a layer norm whose variance is that of the differences from the mean."""
    # Flax's fast variance, E[x^2] - E[x]^2, cancels in float32.
    return nnx.LayerNorm(
        channels, epsilon=epsilon, dtype=dtype, use_fast_variance=False, rngs=rngs
    )


def linear(
    inputs: int, outputs: int, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs
) -> nnx.Linear:
    """Return a linear layer whose weights PyTorch's default draws."""
    return nnx.Linear(
        inputs, outputs, kernel_init=fan_in_uniform, dtype=dtype, rngs=rngs
    )


def channelwise(
    vector: Float[Array, " c"], like: Float[Array, "*space c"]
) -> Float[Array, "*ones c"]:
    """Shape a vector over channels to meet `like`: ranks are never promoted silently."""
    return vector.reshape((1,) * (like.ndim - 1) + vector.shape)


def _uniform(
    rngs: nnx.Rngs, shape: tuple[int, ...], bound: float
) -> Float[Array, "..."]:
    return jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound)
