"""The shared layers against PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from jaxportrait.models.blocks import (
    Conv,
    ConvNorm,
    GatedConvMLP,
    SpectralConv,
    channelwise,
)
from tests.arrays import draw
from tests.closeness import assert_close
from tests.models.layers import as_torch, channels_first, channels_last, rngs

BOUND = 1e-6
NORMED = 1e-5
"""Batch statistics and spectral norms are sums over many values."""


def run_torch(module: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """Return the output of PyTorch's module for channels-last maps."""
    return channels_last(module(channels_first(x)))


def assert_equal(
    layer: nnx.Module, reference: torch.nn.Module, x: np.ndarray, bound: float
) -> None:
    """Assert that a layer and PyTorch's give the same."""
    ours = layer(jnp.asarray(x))
    assert_close(ours, run_torch(reference, x), bound)


@pytest.mark.parametrize(
    ("shape", "outputs", "taps", "options"),
    [
        ((2, 9, 4), 6, (7,), {}),
        ((2, 10, 4), 6, (3,), {"stride": 2}),
        ((2, 8, 8, 4), 6, (3, 3), {}),
        ((2, 8, 8, 4), 6, (2, 2), {"stride": 2}),
        ((2, 8, 8, 4), 4, (7, 7), {"groups": 4}),
        ((1, 4, 5, 6, 4), 6, (3, 3, 3), {}),
    ],
    ids=[
        "a sequence",
        "a strided sequence",
        "a map",
        "patches",
        "a map by channels",
        "a volume",
    ],
)
def test_convolutions_equal_those_of_torch(shape, outputs, taps, options):
    conv = Conv(shape[-1], outputs, taps, rngs=rngs(), **options)
    reference = as_torch(conv, **options)
    assert_equal(conv, reference, draw(*shape), BOUND)


@pytest.mark.parametrize("taps", [(3, 3), (3, 3, 3)])
def test_an_upsampling_convolution_repeats_only_height_and_width(taps):
    depth = (3,) * (len(taps) - 2)
    conv = Conv(4, 6, taps, upsample=2, rngs=rngs())
    x = draw(1, *depth, 4, 5, 4)
    rows = x.repeat(2, axis=-3)
    fine = rows.repeat(2, axis=-2)
    expected = run_torch(as_torch(conv), fine)
    assert_close(conv(jnp.asarray(x)), expected, BOUND)


def test_weights_begin_as_those_of_torch():
    conv = Conv(64, 96, (5,), rngs=rngs())
    # Uniform between edges of 1 / sqrt(fan in).
    edge = 1 / np.sqrt(5 * 64)
    uniform_deviation = edge / np.sqrt(3)
    for leaf in (conv.kernel[...], conv.bias[...]):
        assert np.abs(leaf).max() <= edge
        np.testing.assert_allclose(np.std(leaf), uniform_deviation, rtol=0.15)


def test_batch_norm_equals_that_of_torch_in_training_and_after():
    layer = ConvNorm(4, 6, (3, 3), rngs=rngs())
    x = 3 + 2 * draw(4, 8, 8, 4)
    norm = torch.nn.BatchNorm2d(6)
    reference = torch.nn.Sequential(as_torch(layer.conv), norm)

    # Training: both use and remember the statistics of the batch.
    for _ in range(3):
        assert_equal(layer, reference, x, NORMED)
    assert_close(layer.norm.mean[...], norm.running_mean, NORMED)
    # PyTorch's variance of a batch of 256 values a channel is the unbiased one; Flax
    # stores the biased one. Three updates of momentum 0.1 leave 0.729 of the initial 1.
    variance = np.array(layer.norm.var[...])
    unbiased = 0.729 + (variance - 0.729) * 256 / 255
    assert_close(unbiased, norm.running_var, NORMED)

    # Afterwards: both use the stored statistics, and change them no more.
    layer.eval()
    reference.eval()
    mean = np.asarray(layer.norm.mean[...])
    with torch.no_grad():
        norm.running_var.copy_(torch.from_numpy(variance))
    assert_equal(layer, reference, x, NORMED)
    np.testing.assert_array_equal(layer.norm.mean[...], mean)


def spectral_pair(use_bias: bool) -> tuple[SpectralConv, torch.nn.Module]:
    """Return a layer whose singular vectors have not converged, and PyTorch's."""
    layer = SpectralConv(4, 6, (3, 3), use_bias=use_bias, rngs=rngs())
    reference = torch.nn.utils.spectral_norm(as_torch(layer.conv)).eval()
    u = np.array(layer.u[...])
    # (h, w, i) -> PyTorch's (i, h, w), in one row
    v = np.moveaxis(np.array(layer.v[...]), -1, 0).ravel()
    with torch.no_grad():
        reference.weight_u.copy_(torch.from_numpy(u))
        reference.weight_v.copy_(torch.from_numpy(v))
    return layer, reference


# The published weights are of the deprecated form.
@pytest.mark.filterwarnings("ignore:.*spectral_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("use_bias", [True, False])
def test_spectral_norm_divides_by_the_stored_estimate_as_torch_does(use_bias):
    layer, reference = spectral_pair(use_bias)
    assert_equal(layer, reference, draw(2, 6, 6, 4), NORMED)


def test_singular_vectors_may_be_averages():
    layer = SpectralConv(4, 6, (3, 3), use_bias=False, rngs=rngs())
    x = jnp.asarray(draw(1, 6, 6, 4))
    expected = layer(x)
    layer.u[...] = 0.7 * layer.u[...]
    layer.v[...] = 0.9 * layer.v[...]
    assert_close(layer(x), expected, NORMED)


def test_a_gated_mlp_multiplies_a_silu_with_a_linear_half():
    layer = GatedConvMLP(4, 8, 3, dtype=jnp.float32, rngs=rngs())
    x = draw(2, 9, 4)
    w1 = as_torch(layer.w1)
    w2 = as_torch(layer.w2)
    w3 = as_torch(layer.w3)
    inputs = channels_first(x)
    gate = torch.nn.functional.silu(w1(inputs))
    expected = w2(gate * w3(inputs))
    assert_close(layer(jnp.asarray(x)), channels_last(expected), BOUND)
    assert not layer.w1.use_bias


@pytest.mark.parametrize("layer_type", [Conv, ConvNorm, SpectralConv])
def test_half_precision_computes_in_it_and_keeps_float32_weights(layer_type):
    half = layer_type(4, 6, (3, 3), dtype=jnp.bfloat16, rngs=rngs())
    full = layer_type(4, 6, (3, 3), rngs=rngs())
    half.eval()
    full.eval()
    x = jnp.asarray(draw(2, 6, 6, 4))
    y = half(x)
    assert y.dtype == jnp.bfloat16
    leaves = jax.tree.leaves(nnx.state(half))
    assert {leaf.dtype.name for leaf in leaves} == {"float32"}
    # bfloat16 has 8 bits.
    assert_close(y.astype(jnp.float32), full(x), 2e-2)


def test_channelwise_has_the_rank_of_what_it_meets():
    vector = jnp.ones(3)
    maps = jnp.ones((2, 4, 5, 3))
    assert channelwise(vector, maps).shape == (1, 1, 1, 3)
