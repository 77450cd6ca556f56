"""Toom-Cook forms: the algebra in float64, and the rounding that it costs in
float32."""

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
from tests.closeness import assert_close
from tests.ops.conv.test_direct import draw, draw_kernel, torch_convolve

BOUND = 5e-5


@pytest.mark.parametrize("taps", [2, 3, 7])
def test_ten_products_make_a_tile(taps):
    rows, kernel = np.random.default_rng(0).standard_normal((2, TILE))
    inputs, kernels, outputs = transforms(taps)
    result = outputs @ ((kernels @ kernel[:taps]) * (inputs @ rows))
    np.testing.assert_allclose(
        result, np.correlate(rows, kernel[:taps], "valid"), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(
    "height", [16, 5, 11], ids=["whole tiles", "less than a tile", "a tile and a part"]
)
@pytest.mark.parametrize("taps", [(3, 3), (7, 7), (3, 2), (3, 3, 3), (7, 7, 7)])
def test_a_transformed_kernel_is_the_convolution_of_torch(taps, height):
    depth, padding = (
        (6,) * (len(taps) - 2),
        [(size // 2, (size - 1) // 2) for size in taps],
    )
    x, kernel = draw(2, *depth, height, 9, 32), draw_kernel(*taps, 32, 5)

    @jax.jit
    def ours(x, kernels):
        return convolve_tiles(
            transform_rows(x, taps[-2]), kernels, [*padding[:-2], padding[-1]]
        )

    assert_close(
        ours(x, transform_kernel(kernel)), torch_convolve(x, kernel, padding), BOUND
    )


def test_a_kernel_on_the_host_is_transformed_there():
    assert all(
        isinstance(kernel, np.ndarray)
        for kernel in transform_kernel(draw_kernel(3, 3, 4, 5))
    )
    assert all(
        isinstance(kernel, jax.Array)
        for kernel in transform_kernel(jnp.ones((3, 3, 4, 5)))
    )
