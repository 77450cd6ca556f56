"""Toom-Cook forms: the algebra in float64, and the rounding in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.conv.toom_cook import (
    TILE,
    convolve_tiles,
    transform_kernel,
    transform_rows,
    transforms,
)
from tests.arrays import draw
from tests.closeness import assert_close
from tests.ops.conv.reference import TOOM_COOK_BOUND, draw_kernel, torch_convolve


@pytest.mark.parametrize("taps", [2, 3, 7])
def test_ten_products_make_a_tile(taps):
    rows, kernel = np.random.default_rng(0).standard_normal((2, TILE))
    inputs, kernels, outputs = transforms(taps)
    # The algorithm's three matrices: of kernel, input and output.
    products = (kernels @ kernel[:taps]) * (inputs @ rows)
    expected = np.correlate(rows, kernel[:taps], "valid")
    np.testing.assert_allclose(outputs @ products, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "height", [16, 5, 11], ids=["whole tiles", "less than a tile", "a tile and a part"]
)
@pytest.mark.parametrize("taps", [(3, 3), (7, 7), (3, 2), (3, 3, 3), (7, 7, 7)])
def test_a_transformed_kernel_equals_the_convolution_of_torch(taps, height):
    depth = (6,) * (len(taps) - 2)
    padding = [(size // 2, (size - 1) // 2) for size in taps]
    *depth_padding, _, width_padding = padding
    x = draw(2, *depth, height, 9, 32)
    kernel = draw_kernel(*taps, 32, 5)

    @jax.jit
    def program(x, kernels):
        # Rows are tiled; depth and width are plain convolutions.
        tiles = transform_rows(x, taps[-2])
        return convolve_tiles(tiles, kernels, [*depth_padding, width_padding])

    ours = program(x, transform_kernel(kernel))
    assert_close(ours, torch_convolve(x, kernel, padding), TOOM_COOK_BOUND)


def test_a_kernel_on_the_host_is_transformed_there():
    kernels = transform_kernel(draw_kernel(3, 3, 4, 5))
    assert all(isinstance(kernel, np.ndarray) for kernel in kernels)


def test_a_kernel_on_a_device_is_transformed_there():
    kernels = transform_kernel(jnp.ones((3, 3, 4, 5)))
    assert all(isinstance(kernel, jax.Array) for kernel in kernels)
