"""Toom-Cook forms: the algebra in float64, and the rounding that it costs in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.toom_cook import (
    POINTS,
    convolve_tiles,
    transform_kernel,
    transform_kernel_and_depth,
    transform_rows,
    transforms,
)
from tests.closeness import assert_close
from tests.ops.test_conv import draw, draw_kernel, torch_convolve

BOUND = 5e-5


@pytest.mark.parametrize("tile", POINTS)
@pytest.mark.parametrize("taps", [2, 3, 6])
def test_as_many_products_as_rows_make_a_tile(taps, tile):
    rows, kernel = np.random.default_rng(0).standard_normal((2, tile))
    inputs, kernels, outputs = transforms(taps, tile)
    result = outputs @ ((kernels @ kernel[:taps]) * (inputs @ rows))
    np.testing.assert_allclose(result, np.correlate(rows, kernel[:taps], "valid"), rtol=0, atol=1e-12)


@pytest.mark.parametrize("height", [16, 5, 11], ids=["whole tiles", "less than a tile", "a tile and a part"])
@pytest.mark.parametrize(
    ("taps", "transform"),
    [
        ((3, 3), transform_kernel),
        ((7, 7), transform_kernel),
        ((3, 2), transform_kernel),
        ((3, 3, 3), transform_kernel),
        ((3, 3, 3), transform_kernel_and_depth),
        ((7, 7, 7), transform_kernel_and_depth),
    ],
)
def test_a_transformed_kernel_is_the_convolution_of_torch(taps, transform, height):
    depth, padding = (6,) * (len(taps) - 2), [(size // 2, (size - 1) // 2) for size in taps]
    x, kernel = draw(2, *depth, height, 9, 32), draw_kernel(*taps, 32, 5)

    @jax.jit
    def ours(x, kernels):
        return convolve_tiles(transform_rows(x, taps[-2]), kernels, [*padding[:-2], padding[-1]])

    assert_close(ours(x, transform(kernel)), torch_convolve(x, kernel, padding), BOUND)


def test_a_kernel_on_the_host_is_transformed_there():
    assert all(isinstance(kernel, np.ndarray) for kernel in transform_kernel(draw_kernel(3, 3, 4, 5)))
    assert all(isinstance(kernel, jax.Array) for kernel in transform_kernel(jnp.ones((3, 3, 4, 5))))
