"""`convolve` is PyTorch's convolution on every platform."""

import jax
import jax.numpy as jnp
import pytest

from jaxportrait.ops.conv import convolve, half_padding
from tests.arrays import draw
from tests.closeness import assert_close
from tests.ops.conv.reference import BOUND, draw_kernel, torch_convolve


@pytest.mark.parametrize(
    ("shape", "kernel_shape", "options"),
    [
        ((2, 11, 6), (7, 6, 5), {}),
        ((2, 12, 6), (3, 6, 5), {"stride": 2}),
        ((2, 9, 8, 6), (3, 3, 6, 5), {}),
        ((1, 8, 8, 3), (4, 4, 3, 5), {"stride": 4}),
        ((1, 9, 9, 6), (7, 7, 1, 6), {"groups": 6}),
        ((1, 9, 9, 6), (5, 4, 3, 4), {"groups": 2}),
        ((2, 9, 8, 6), (7, 5, 6, 1), {}),
    ],
    ids=[
        "a sequence",
        "a strided sequence",
        "a map",
        "patches",
        "a map by channels",
        "a map by groups",
        "a map to one channel",
    ],
)
def test_convolutions_equal_those_of_torch(shape, kernel_shape, options):
    x = draw(*shape)
    kernel = draw_kernel(*kernel_shape)
    padding = half_padding(kernel)
    ours = convolve(x, kernel, padding=padding, **options)
    assert_close(ours, torch_convolve(x, kernel, padding, **options), BOUND)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("stride", [1, 2])
def test_no_platform_runs_one_dimensional_convolutions_as_such(platform, stride):
    x = jnp.asarray(draw(2, 9, 6), jnp.bfloat16)
    kernel = jnp.asarray(draw_kernel(3, 6, 5), jnp.bfloat16)

    @jax.jit
    def program(x, kernel):
        return convolve(x, kernel, stride=stride, padding=[(1, 1)])

    # Lowering for a platform needs no such device.
    lowered = program.trace(x, kernel).lower(lowering_platforms=(platform,))
    text = lowered.as_text()
    assert "stablehlo.dot_general" in text
    assert "stablehlo.convolution" not in text


def test_a_volume_has_no_stride():
    x = draw(1, 3, 4, 5, 6)
    kernel = draw_kernel(3, 3, 3, 6, 5)
    with pytest.raises(ValueError, match="a 3-D convolution of stride 2 and 1 groups"):
        convolve(x, kernel, stride=2, padding=[(1, 1)] * 3)


def test_a_sequence_has_no_groups():
    x = draw(1, 9, 6)
    kernel = draw_kernel(3, 3, 4)
    with pytest.raises(ValueError, match="a 1-D convolution of stride 1 and 2 groups"):
        convolve(x, kernel, groups=2, padding=[(1, 1)])


def test_half_precision_stays_half_precision():
    x = jnp.asarray(draw(1, 3, 4, 20, 6), jnp.bfloat16)
    kernel = jnp.asarray(draw_kernel(3, 3, 3, 6, 5), jnp.bfloat16)
    assert convolve(x, kernel, padding=[(1, 1)] * 3).dtype == jnp.bfloat16
