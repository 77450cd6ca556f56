"""The inference forms of layers and networks: the same functions in fewer operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.models.blocks import Conv, ConvNorm, GatedConvMLP, SpectralConv
from jaxportrait.models.inference import for_inference
from jaxportrait.models.inference.layers import PreparedConv
from jaxportrait.models.inference.networks import (
    PlanesFirstDenseMotion,
    PlanesFirstWarping,
)
from jaxportrait.models.inference.rewrite import join
from tests.arrays import draw
from tests.closeness import assert_close
from tests.models.layers import randomise_statistics, rngs
from tests.models.networks import tiny

BOUND = 1e-6
NORMED = 1e-5
"""Spectral norms are sums over many values."""
TOOM_COOK_BOUND = 5e-5


@pytest.mark.parametrize("upsample", [1, 2])
def test_a_batch_norm_leaves_only_the_convolution(upsample):
    layer = ConvNorm(4, 6, (3, 3), upsample=upsample, rngs=rngs())
    randomise_statistics(layer.norm)
    layer.eval()
    form = for_inference(layer)
    x = jnp.asarray(draw(2, 6, 6, 4))
    assert isinstance(form, Conv)
    # One more product of rounded factors.
    assert_close(form(x), layer(x), BOUND * 3)


@pytest.mark.parametrize("use_bias", [True, False])
def test_a_spectral_norm_leaves_only_the_convolution(use_bias):
    layer = SpectralConv(4, 6, (3, 3), use_bias=use_bias, rngs=rngs())
    form = for_inference(layer)
    x = jnp.asarray(draw(2, 6, 6, 4))
    assert isinstance(form, Conv)
    assert_close(form(x), layer(x), NORMED)


@pytest.mark.parametrize("upsample", [1, 2])
def test_a_kernel_that_no_longer_changes_is_prepared(upsample):
    conv = Conv(64, 64, (3, 3), upsample=upsample, rngs=rngs())
    form = for_inference(conv)
    x = jnp.asarray(draw(2, 9, 6, 64))
    assert isinstance(form, PreparedConv)
    assert_close(form(x), conv(x), TOOM_COOK_BOUND)


def test_half_precision_has_no_toom_cook_form():
    conv = Conv(64, 64, (3, 3), dtype=jnp.bfloat16, rngs=rngs())
    assert type(for_inference(conv)) is Conv


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"groups": 64}], ids=["a stride", "groups"]
)
def test_a_stride_or_groups_leave_a_kernel_as_it_is(options):
    conv = Conv(64, 64, (3, 3), rngs=rngs(), **options)
    form = for_inference(conv)
    assert type(form) is Conv
    np.testing.assert_array_equal(form.kernel[...], conv.kernel[...])


def test_a_gated_mlp_joins_its_first_convolutions():
    layer = GatedConvMLP(4, 8, 3, dtype=jnp.float32, rngs=rngs())
    form = for_inference(layer)
    x = jnp.asarray(draw(2, 9, 4))
    assert_close(form(x), layer(x), BOUND)
    # (taps, inputs, two times the hidden width)
    assert form.joined.kernel.shape == (3, 4, 16)


def test_the_form_of_a_form_is_the_same():
    form = for_inference(ConvNorm(64, 64, (3, 3), rngs=rngs()))
    again = for_inference(form)
    assert nnx.graphdef(again) == nnx.graphdef(form)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(again), nnx.state(form))


def test_the_network_itself_is_left_as_it_is():
    network = nnx.List([ConvNorm(4, 6, (3, 3), rngs=rngs())])
    network.train()
    graph = nnx.graphdef(network)
    values = jax.tree.map(np.array, nnx.state(network))
    form = for_inference(network)
    # Changing the form does not change the network either.
    zeros = jax.tree.map(jnp.zeros_like, nnx.state(form))
    nnx.update(form, zeros)
    assert nnx.graphdef(network) == graph
    jax.tree.map(np.testing.assert_array_equal, nnx.state(network), values)


def test_joined_convolutions_give_the_outputs_of_each():
    convs = [Conv(4, outputs, (3, 3), rngs=rngs()) for outputs in (6, 3)]
    x = jnp.asarray(draw(1, 6, 6, 4))
    outputs = [conv(x) for conv in convs]
    expected = jnp.concatenate(outputs, axis=-1)
    assert_close(join(convs)(x), expected, BOUND)
    assert convs[0].bias[...].size == 6


def test_joined_linear_layers_give_the_outputs_of_each():
    layers = [nnx.Linear(4, outputs, rngs=rngs()) for outputs in (6, 3)]
    x = jnp.asarray(draw(2, 4))
    outputs = [layer(x) for layer in layers]
    expected = jnp.concatenate(outputs, axis=-1)
    joined = join(layers)
    assert_close(joined(x), expected, BOUND)
    assert joined.out_features == 9


def test_weights_on_the_host_are_rewritten_there():
    layers = [
        ConvNorm(64, 64, (3, 3), rngs=rngs()),
        SpectralConv(64, 4, (3, 3), rngs=rngs()),
        GatedConvMLP(4, 8, 3, dtype=jnp.float32, rngs=rngs()),
    ]
    network = nnx.List(layers)
    nnx.update(network, jax.tree.map(np.array, nnx.state(network)))
    form = for_inference(network)
    leaves = jax.tree.leaves(nnx.state(form))
    assert {type(leaf) for leaf in leaves} == {np.ndarray}


def test_w_reads_whole_planes():
    form = for_inference(tiny("warping"))
    assert isinstance(form, PlanesFirstWarping)
    assert isinstance(form.dense_motion, PlanesFirstDenseMotion)
