"""VGG-19's features; `tests/convert_weights/test_vgg.py` compares them with
PyTorch's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import fill, leaf_shapes
from jaxportrait.models.parts import abstract
from jaxportrait.models.vgg import IMAGENET_MEAN, VGG, VGGConfig
from tests.closeness import assert_close
from tests.models.networks import HALF_BOUNDS, draw_leaf, program

PARAMETERS = 20_024_384 - 3 * (9 * 512 * 512 + 512)
"""Parameters of the published convolutions, without those after relu5_1."""


@pytest.fixture(scope="module")
def network() -> VGG:
    network = abstract(VGGConfig.tiny())
    fill(
        network,
        {
            name: draw_leaf(name, leaf.shape)
            for name, leaf in leaf_shapes(network).items()
        },
    )
    return network


@pytest.fixture(scope="module")
def image() -> jax.Array:
    """Noise, and below it the colour that ImageNet has in the mean."""
    noise = np.random.default_rng(0).random((1, 34, 48, 3), np.float32)
    return jnp.asarray(
        np.concatenate([noise, np.broadcast_to(np.float32(IMAGENET_MEAN), noise.shape)])
    )


@pytest.fixture(scope="module")
def maps(network, image) -> list[jax.Array]:
    return program(network, [image])


def test_the_full_network_has_the_published_parameters():
    shapes = leaf_shapes(abstract(VGGConfig.full()))
    assert sum(leaf.size for leaf in shapes.values()) == PARAMETERS


def test_every_stage_gives_a_map_of_half_the_size(maps):
    shapes = [leaf.shape for leaf in maps]
    assert shapes == [
        (2, 34, 48, 4),
        (2, 17, 24, 8),
        (2, 8, 12, 8),
        (2, 4, 6, 16),
        (2, 2, 3, 16),
    ]


def test_the_mean_colour_is_zero_to_it(network, maps):
    first, bias = maps[0][1], network.stages[0][0].bias[...]
    np.testing.assert_allclose(
        first, np.broadcast_to(np.maximum(bias, 0), first.shape), atol=1e-6
    )


def test_half_precision_keeps_its_weights_and_meets_float32(network, image, maps):
    half = nnx.merge(
        nnx.graphdef(abstract(VGGConfig.tiny(), dtype=jnp.bfloat16)),
        nnx.state(network),
    )
    for ours, reference in zip(program(half, [image]), maps, strict=True):
        assert ours.dtype == jnp.bfloat16
        assert_close(ours.astype(jnp.float32), reference, HALF_BOUNDS["bfloat16"])
