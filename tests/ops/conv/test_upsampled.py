"""Convolutions of upsampled maps, without the upsampling."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.conv import convolve, convolve_upsampled, half_padding
from jaxportrait.ops.resize import upsample_nearest
from tests.arrays import draw
from tests.closeness import assert_close
from tests.ops.conv.reference import BOUND, draw_kernel, torch_convolve


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("depth", [(), (3,)], ids=["2-D", "3-D"])
def test_merged_taps_equal_upsampling_and_then_convolving(factor, depth):
    x = draw(2, *depth, 4, 5, 6)
    kernel = draw_kernel(*depth, 3, 3, 6, 5)
    fine = np.asarray(upsample_nearest(jnp.asarray(x), factor))
    reference = torch_convolve(fine, kernel, half_padding(kernel))
    ours = jax.jit(convolve_upsampled, static_argnums=2)(x, kernel, factor)
    assert_close(ours, reference, BOUND)


def test_merged_taps_have_the_gradients_of_upsampling_and_then_convolving():
    x = draw(1, 4, 5, 6)
    kernel = draw_kernel(3, 3, 6, 5)
    # Weights of the outputs, so that no gradients cancel.
    cotangent = draw(1, 8, 10, 5, seed=2)

    def plain(x, kernel):
        return convolve(upsample_nearest(x, 2), kernel, padding=half_padding(kernel))

    def gradients(convolution):
        def product(x, kernel):
            return jnp.sum(convolution(x, kernel) * cotangent)

        return jax.jit(jax.grad(product, (0, 1)))(x, kernel)

    merged = gradients(partial(convolve_upsampled, factor=2))
    for ours, reference in zip(merged, gradients(plain), strict=True):
        assert_close(ours, reference, BOUND)


def test_half_precision_stays_half_precision():
    x = jnp.asarray(draw(1, 4, 5, 6), jnp.bfloat16)
    kernel = jnp.asarray(draw_kernel(3, 3, 6, 5), jnp.bfloat16)
    assert convolve_upsampled(x, kernel, 2).dtype == jnp.bfloat16
