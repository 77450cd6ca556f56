"""The shared layers against PyTorch's, and the rewrite for inference."""

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
    fold,
    join,
)
from tests.closeness import assert_close

BOUND = 1e-6
NORMED = 1e-5  # batch statistics and spectral norms are sums over many values
TORCH_CONVOLUTIONS = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def rngs() -> nnx.Rngs:
    return nnx.Rngs(
        jax.random.key(0, impl="rbg")
    )  # compiles in a third of threefry's time


def channels_first(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


def channels_last(x: torch.Tensor) -> np.ndarray:
    return np.moveaxis(x.detach().numpy(), 1, -1)


def as_torch(conv: Conv, **options) -> torch.nn.Module:
    """PyTorch's convolution with the same weights."""
    kernel = np.asarray(conv.kernel[...])
    *taps, inputs, outputs = kernel.shape
    groups = options.get("groups", 1)
    module = TORCH_CONVOLUTIONS[len(taps)](
        inputs * groups,
        outputs,
        taps,
        bias=conv.bias is not None,
        padding=[t // 2 if t % 2 else 0 for t in taps],
        **options,
    )
    with torch.no_grad():
        module.weight.copy_(
            torch.from_numpy(np.moveaxis(kernel, (-1, -2), (0, 1)).copy())
        )
        if conv.bias is not None:
            module.bias.copy_(torch.from_numpy(np.array(conv.bias[...])))
    return module


def randomise_statistics(network: nnx.Module):
    """Batch norms as after some training: no leaf at its initial zero or one."""
    for _, module in nnx.iter_modules(network):
        if isinstance(module, nnx.BatchNorm):
            channels = module.mean[...].size
            module.mean[...], module.bias[...] = (
                draw(channels, seed=1),
                draw(channels, seed=2),
            )
            module.var[...], module.scale[...] = (
                0.5 + draw(channels, seed=3) ** 2,
                1 + 0.1 * draw(channels, seed=4),
            )


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
)
def test_convolutions_are_those_of_torch(shape, outputs, taps, options):
    conv, x = Conv(shape[-1], outputs, taps, rngs=rngs(), **options), draw(*shape)
    assert_close(
        conv(jnp.asarray(x)),
        channels_last(as_torch(conv, **options)(channels_first(x))),
        BOUND,
    )


@pytest.mark.parametrize("taps", [(3, 3), (3, 3, 3)])
def test_an_upsampling_convolution_repeats_height_and_width_alone(taps):
    depth = (3,) * (len(taps) - 2)
    conv, x = Conv(4, 6, taps, upsample=2, rngs=rngs()), draw(1, *depth, 4, 5, 4)
    fine = x.repeat(2, axis=-3).repeat(2, axis=-2)
    assert_close(
        conv(jnp.asarray(x)), channels_last(as_torch(conv)(channels_first(fine))), BOUND
    )


def test_weights_begin_as_those_of_torch():
    conv = Conv(64, 96, (5,), rngs=rngs())
    edge = 1 / np.sqrt(5 * 64)
    for leaf in (conv.kernel[...], conv.bias[...]):
        assert np.abs(leaf).max() <= edge
        np.testing.assert_allclose(
            np.std(leaf), edge / np.sqrt(3), rtol=0.15
        )  # uniform


def test_batch_norm_is_that_of_torch_in_training_and_after():
    layer, x = ConvNorm(4, 6, (3, 3), rngs=rngs()), 3 + 2 * draw(4, 8, 8, 4)
    reference = torch.nn.Sequential(as_torch(layer.conv), torch.nn.BatchNorm2d(6))
    for _ in range(3):
        assert_close(
            layer(jnp.asarray(x)), channels_last(reference(channels_first(x))), NORMED
        )
    assert_close(layer.norm.mean[...], reference[1].running_mean, NORMED)
    unbiased = (
        256 / 255
    )  # PyTorch's variance of a batch of 256 values a channel; flax keeps the biased one
    assert_close(
        0.729 + (layer.norm.var[...] - 0.729) * unbiased,
        reference[1].running_var,
        NORMED,
    )
    layer.eval()
    reference.eval()
    before = np.asarray(layer.norm.mean[...])
    with torch.no_grad():
        reference[1].running_var.copy_(torch.from_numpy(np.array(layer.norm.var[...])))
    assert_close(
        layer(jnp.asarray(x)), channels_last(reference(channels_first(x))), NORMED
    )
    np.testing.assert_array_equal(layer.norm.mean[...], before)


@pytest.mark.parametrize("upsample", [1, 2])
def test_a_folded_norm_leaves_the_convolution_alone(upsample):
    layer, x = (
        ConvNorm(4, 6, (3, 3), upsample=upsample, rngs=rngs()),
        jnp.asarray(draw(2, 6, 6, 4)),
    )
    randomise_statistics(layer)
    layer.eval()
    before = layer(x)
    fold(layer)
    assert set(nnx.state(layer)) == {"conv"}
    assert_close(layer(x), before, BOUND * 3)  # a product of rounded factors more
    after = layer(x)
    fold(layer)
    np.testing.assert_array_equal(layer(x), after)


def spectral(use_bias: bool) -> tuple[SpectralConv, torch.nn.Module]:
    """A layer whose singular vectors have not converged, and PyTorch's with the
    same."""
    layer = SpectralConv(4, 6, (3, 3), use_bias=use_bias, rngs=rngs())
    reference = torch.nn.utils.spectral_norm(as_torch(layer.conv)).eval()
    with torch.no_grad():
        reference.weight_u.copy_(torch.from_numpy(np.array(layer.u[...])))
        reference.weight_v.copy_(
            torch.from_numpy(np.moveaxis(np.array(layer.v[...]), -1, 0).ravel())
        )
    return layer, reference


@pytest.mark.filterwarnings(
    "ignore:.*spectral_norm.* is deprecated:FutureWarning"
)  # the published weights are of this form
@pytest.mark.parametrize("use_bias", [True, False])
def test_spectral_norm_divides_by_the_stored_estimate_as_torch_does(use_bias):
    layer, reference = spectral(use_bias)
    x = draw(2, 6, 6, 4)
    expected = channels_last(reference(channels_first(x)))
    assert_close(layer(jnp.asarray(x)), expected, NORMED)
    fold(layer)
    assert set(nnx.state(layer)) == {"conv"}
    assert_close(layer(jnp.asarray(x)), expected, NORMED)


def test_singular_vectors_may_be_averages():
    layer, _ = spectral(use_bias=False)
    expected = layer(x := jnp.asarray(draw(1, 6, 6, 4)))
    layer.u[...], layer.v[...] = 0.7 * layer.u[...], 0.9 * layer.v[...]
    assert_close(layer(x), expected, NORMED)


@pytest.mark.parametrize("upsample", [1, 2])
def test_a_kernel_that_no_longer_changes_is_prepared_once(upsample):
    conv, x = (
        Conv(64, 64, (3, 3), upsample=upsample, rngs=rngs()),
        jnp.asarray(draw(2, 9, 6, 64)),
    )
    before = conv(x)
    fold(conv)
    assert conv.kernel is None
    assert_close(conv(x), before, 5e-5)  # a Toom-Cook form
    after = conv(x)
    fold(conv)
    np.testing.assert_array_equal(conv(x), after)


def test_half_precision_is_not_transformed():
    conv = Conv(64, 64, (3, 3), dtype=jnp.bfloat16, rngs=rngs())
    fold(conv)
    assert conv.prepared is None


def test_joined_convolutions_give_the_outputs_of_each():
    convs, x = (
        [Conv(4, outputs, (3, 3), rngs=rngs()) for outputs in (6, 3)],
        jnp.asarray(draw(1, 6, 6, 4)),
    )
    expected = jnp.concatenate([conv(x) for conv in convs], axis=-1)
    assert_close(join(convs)(x), expected, BOUND)
    assert convs[0].bias[...].size == 6


def test_folding_weights_on_the_host_keeps_them_there():
    network = nnx.List(
        [ConvNorm(4, 6, (3, 3), rngs=rngs()), SpectralConv(6, 4, (3, 3), rngs=rngs())]
    )
    for _, leaf in nnx.to_flat_state(nnx.state(network)):
        leaf.set_value(np.array(leaf.get_value()))
    network.eval()
    fold(network)
    assert all(
        isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(nnx.state(network))
    )


def test_a_gated_mlp_multiplies_a_silu_with_a_linear_half():
    layer, x = GatedConvMLP(4, 8, 3, dtype=jnp.float32, rngs=rngs()), draw(2, 9, 4)
    w1, w2, w3 = (as_torch(conv) for conv in (layer.w1, layer.w2, layer.w3))
    inputs = channels_first(x)
    expected = w2(torch.nn.functional.silu(w1(inputs)) * w3(inputs))
    assert_close(layer(jnp.asarray(x)), channels_last(expected), BOUND)
    assert layer.w1.bias is None


@pytest.mark.parametrize("layer_type", [Conv, ConvNorm, SpectralConv])
def test_half_precision_computes_in_it_and_keeps_float32_weights(layer_type):
    layer, x = (
        layer_type(4, 6, (3, 3), dtype=jnp.bfloat16, rngs=rngs()),
        jnp.asarray(draw(2, 6, 6, 4)),
    )
    wide = layer_type(4, 6, (3, 3), rngs=rngs())
    layer.eval()
    wide.eval()
    assert layer(x).dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(layer))} == {
        jnp.dtype(jnp.float32)
    }
    assert_close(layer(x).astype(jnp.float32), wide(x), 2e-2)  # bfloat16 has 8 bits


def test_channelwise_is_of_the_rank_it_meets():
    assert channelwise(jnp.ones(3), jnp.ones((2, 4, 5, 3))).shape == (1, 1, 1, 3)
