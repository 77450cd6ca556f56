"""Convolutions of upsampled maps, without the upsampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.conv.direct import convolve, half_padding
from jaxportrait.ops.conv.upsampled import convolve_upsampled
from jaxportrait.ops.resize import upsample_nearest
from tests.closeness import assert_close
from tests.ops.conv.test_direct import BOUND, draw, draw_kernel, torch_convolve


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("depth", [(), (3,)], ids=["2-D", "3-D"])
def test_merged_taps_equal_upsampling_and_then_convolving(factor, depth):
    x, kernel = draw(2, *depth, 4, 5, 6), draw_kernel(*depth, 3, 3, 6, 5)
    fine = np.asarray(upsample_nearest(jnp.asarray(x), factor))
    reference = torch_convolve(fine, kernel, half_padding(jnp.asarray(kernel)))
    ours = jax.jit(convolve_upsampled, static_argnums=2)(x, kernel, factor)
    assert_close(ours, reference, BOUND)


def test_merged_taps_have_the_gradients_of_upsampling_and_then_convolving():
    x, kernel, cotangent = (
        draw(1, 4, 5, 6),
        draw_kernel(3, 3, 6, 5),
        draw(1, 8, 10, 5, seed=2),
    )

    def plain(x, k):
        return convolve(upsample_nearest(x, 2), k, padding=half_padding(k))

    def gradients(convolution):
        return jax.jit(
            jax.grad(lambda x, k: jnp.sum(convolution(x, k) * cotangent), (0, 1))
        )(x, kernel)

    merged = gradients(lambda x, k: convolve_upsampled(x, k, 2))
    for ours, reference in zip(merged, gradients(plain), strict=True):
        assert_close(ours, reference, BOUND)


def test_half_precision_stays_half_precision():
    x, kernel = (
        jnp.asarray(array, jnp.bfloat16)
        for array in (draw(1, 4, 5, 6), draw_kernel(3, 3, 6, 5))
    )
    assert convolve_upsampled(x, kernel, 2).dtype == jnp.bfloat16
