"""Every form of a convolution is the same function: PyTorch's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from jaxportrait.ops.conv.direct import (
    FORMS_3D,
    aligned,
    as_written,
    convolve,
    cpu_form,
    half_padding,
)
from tests.closeness import assert_close

BOUND = 1e-6
WIDTHS_OF_FORMS = {
    "as_written": (4, 6, 5),
    "taps_as_outputs": (16, 6, 5),
    "taps_as_inputs": (20, 6, 5),
    "sum_of_taps": (20, 70, 3),
}
"""Form -> (width, input channels, output channels) of a 3 x 3 x 3 convolution for which
a CPU takes it."""


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def draw_kernel(*shape: int) -> np.ndarray:
    return draw(*shape, seed=1) / np.sqrt(np.float32(np.prod(shape[:-1])))


def torch_convolve(x: np.ndarray, kernel: np.ndarray, padding, **options) -> np.ndarray:
    """PyTorch's convolution in float64, of channels-last arrays and padding."""
    rank = kernel.ndim - 2
    inputs = torch.from_numpy(np.moveaxis(x, -1, 1).astype(np.float64))
    inputs = F.pad(inputs, [side for axis in reversed(padding) for side in axis])
    weights = torch.from_numpy(np.moveaxis(kernel, (-1, -2), (0, 1)).astype(np.float64))
    convolution = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    return np.moveaxis(convolution(inputs, weights, **options).numpy(), 1, -1)


@pytest.mark.parametrize(
    ("shape", "kernel_shape", "options"),
    [
        ((2, 11, 6), (7, 6, 5), {}),
        ((2, 12, 6), (3, 6, 5), {"stride": 2}),
        ((2, 9, 8, 6), (3, 3, 6, 5), {}),
        ((1, 8, 8, 3), (4, 4, 3, 5), {"stride": 4}),
        ((1, 9, 9, 6), (7, 7, 1, 6), {"groups": 6}),
        ((2, 9, 8, 6), (7, 5, 6, 1), {}),
    ],
)
def test_convolutions_are_those_of_torch(shape, kernel_shape, options):
    x, kernel = draw(*shape), draw_kernel(*kernel_shape)
    padding = half_padding(jnp.asarray(kernel))
    assert_close(
        convolve(x, kernel, padding=padding, **options),
        torch_convolve(x, kernel, padding, **options),
        BOUND,
    )


ALIGNED = {
    f"{name}, aligned": partial(aligned, FORMS_3D[name])
    for name in ("taps_as_inputs", "taps_as_outputs")
}


@pytest.mark.parametrize(
    "form", [*FORMS_3D.values(), *ALIGNED.values()], ids=[*FORMS_3D, *ALIGNED]
)
@pytest.mark.parametrize(
    ("size", "channels", "taps", "padding"),
    [
        ((4, 5, 6), 6, (3, 3, 3), [(1, 1)] * 3),
        ((7, 8, 9), 3, (7, 7, 7), [(3, 3)] * 3),
        ((4, 5, 6), 6, (1, 1, 1), [(0, 0)] * 3),
        ((4, 6, 7), 6, (3, 2, 2), [(1, 1), (0, 0), (0, 0)]),
    ],
)
def test_every_form_is_the_convolution_of_torch(form, size, channels, taps, padding):
    x, kernel = draw(2, *size, channels), draw_kernel(*taps, channels, 5)
    ours = jax.jit(partial(form, padding=padding))(x, kernel)
    assert_close(ours, torch_convolve(x, kernel, padding), BOUND)


@pytest.mark.parametrize(
    ("form", "widths"), WIDTHS_OF_FORMS.items(), ids=WIDTHS_OF_FORMS
)
def test_a_cpu_takes_each_form_where_it_is_fastest_with_equal_gradients(form, widths):
    width, inputs, outputs = widths
    x, kernel = draw(1, 3, 4, width, inputs), draw_kernel(3, 3, 3, inputs, outputs)
    padding, cotangent = [(1, 1)] * 3, draw(1, 3, 4, width, outputs, seed=2)
    assert cpu_form(x.shape, kernel.shape) == form

    def gradients(convolution):
        return jax.jit(
            jax.grad(
                lambda x, k: jnp.sum(convolution(x, k, padding=padding) * cotangent),
                (0, 1),
            )
        )(x, kernel)

    for ours, reference in zip(gradients(convolve), gradients(as_written), strict=True):
        assert_close(ours, reference, BOUND)


def test_the_mask_convolution_sums_its_taps_after_one_wide_convolution():
    assert cpu_form((1, 16, 64, 64, 142), (7, 7, 7, 142, 22)) == "taps_as_outputs"


def lowered_convolutions(platform: str, outputs: int) -> list[str]:
    """The convolutions of the StableHLO of a 3 x 3 x 3 one."""
    x, kernel = draw(1, 3, 4, 20, 6), draw_kernel(3, 3, 3, 6, outputs)
    program = jax.jit(lambda x, k: convolve(x, k, padding=[(1, 1)] * 3)).trace(
        x, kernel
    )
    lines = program.lower(lowering_platforms=(platform,)).as_text().splitlines()
    return [line for line in lines if "stablehlo.convolution" in line]


def test_a_tpu_runs_three_dimensional_convolutions_as_written():
    (convolution,) = lowered_convolutions("tpu", 5)
    assert "[b, 0, 1, 2, f]" in convolution


@pytest.mark.parametrize(
    ("outputs", "kernel"),
    [(5, "3x3x8x24"), (64, "3x3x24x64")],
    ids=["few outputs: taps as outputs", "many: taps as inputs"],
)
def test_an_nvidia_gpu_runs_them_as_one_two_dimensional_one_of_whole_eights(
    outputs, kernel
):
    (convolution,) = lowered_convolutions("cuda", outputs)
    assert "[b, 0, 1, f]" in convolution
    assert f"tensor<{kernel}xf32>" in convolution


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("stride", [1, 2])
def test_no_platform_runs_one_dimensional_convolutions_as_such(platform, stride):
    x, kernel = (
        jnp.asarray(array, jnp.bfloat16)
        for array in (draw(2, 9, 6), draw_kernel(3, 6, 5))
    )
    program = jax.jit(
        lambda x, k: convolve(x, k, stride=stride, padding=[(1, 1)])
    ).trace(x, kernel)
    text = program.lower(lowering_platforms=(platform,)).as_text()
    assert "stablehlo.dot_general" in text
    assert "stablehlo.convolution" not in text


def test_forms_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="a 3-D convolution of stride 2 and 1 groups"):
        convolve(
            draw(1, 3, 4, 5, 6),
            draw_kernel(3, 3, 3, 6, 5),
            stride=2,
            padding=[(1, 1)] * 3,
        )
    with pytest.raises(ValueError, match="a 1-D convolution of stride 1 and 2 groups"):
        convolve(draw(1, 9, 6), draw_kernel(3, 3, 4), groups=2, padding=[(1, 1)])


def test_half_precision_stays_half_precision():
    x, kernel = (
        jnp.asarray(draw(1, 3, 4, 20, 6), jnp.bfloat16),
        jnp.asarray(draw_kernel(3, 3, 3, 6, 5), jnp.bfloat16),
    )
    assert convolve(x, kernel, padding=[(1, 1)] * 3).dtype == jnp.bfloat16
