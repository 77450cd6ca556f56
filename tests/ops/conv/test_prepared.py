"""A prepared kernel gives what the kernel itself gives."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxportrait.ops.conv import convolve_prepared, half_padding, prepare
from jaxportrait.ops.conv.toom_cook import TILE
from jaxportrait.ops.resize import upsample_nearest
from tests.arrays import draw
from tests.closeness import assert_close
from tests.ops.conv.reference import BOUND, TOOM_COOK_BOUND, draw_kernel, torch_convolve

PHASES_ACROSS = {1: 1, 2: 2, 4: 3}
"""Upsampling -> distinct phases of fine pixels over a coarse one."""


@pytest.mark.parametrize("upsample", PHASES_ACROSS)
@pytest.mark.parametrize("depth", [(), (3,)], ids=["2-D", "3-D"])
@pytest.mark.parametrize("toom_cook", [False, True])
def test_a_prepared_convolution_equals_that_of_torch(toom_cook, depth, upsample):
    x = draw(2, *depth, 9, 5, 64)
    kernel = draw_kernel(*depth, 3, 3, 64, 64)
    padding = half_padding(kernel)
    kernels = prepare(kernel, upsample, toom_cook=toom_cook)
    # A kernel for each product of a tile and each phase.
    assert len(kernels) == (TILE * PHASES_ACROSS[upsample] if toom_cook else 1)
    assert all(isinstance(prepared, np.ndarray) for prepared in kernels)

    program = partial(convolve_prepared, upsample=upsample, padding=padding)
    ours = jax.jit(program)(x, kernels)
    # The reference upsamples first.
    fine = np.asarray(upsample_nearest(x, upsample))
    bound = TOOM_COOK_BOUND if toom_cook else BOUND
    assert_close(ours, torch_convolve(fine, kernel, padding), bound)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 512, 256),
        (3, 3, 32, 64),
        (3, 3, 64, 12),
        (3, 3, 3, 512, 1024),
        (3, 384, 384),
        (5, 5, 64, 64),
    ],
)
def test_kernels_that_gain_nothing_are_left_as_they_are(shape):
    # A Toom-Cook form suits none of these shapes, each for another reason.
    kernel = np.zeros(shape, np.float32)
    assert prepare(kernel, 1, toom_cook=True)[0] is kernel
