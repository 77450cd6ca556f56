"""Every form of a 3-D convolution is the same function, and each platform gets its own."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from jaxportrait.ops.conv import FORMS_3D, aligned, as_written, convolve
from jaxportrait.ops.conv.volumes import cpu_form
from tests.arrays import draw
from tests.closeness import assert_close
from tests.ops.conv.reference import BOUND, draw_kernel, torch_convolve

# Channels filled up to a multiple of 8.
ALIGNED = {
    "taps_as_inputs, aligned": partial(aligned, FORMS_3D["taps_as_inputs"]),
    "taps_as_outputs, aligned": partial(aligned, FORMS_3D["taps_as_outputs"]),
}
FORMS = FORMS_3D | ALIGNED
PADDING = [(1, 1)] * 3


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    ("size", "channels", "taps", "padding"),
    [
        ((4, 5, 6), 6, (3, 3, 3), PADDING),
        ((7, 8, 9), 3, (7, 7, 7), [(3, 3)] * 3),
        ((4, 5, 6), 6, (1, 1, 1), [(0, 0)] * 3),
        ((4, 6, 7), 6, (3, 2, 2), [(1, 1), (0, 0), (0, 0)]),
    ],
)
def test_every_form_equals_the_convolution_of_torch(
    form, size, channels, taps, padding
):
    x = draw(2, *size, channels)
    kernel = draw_kernel(*taps, channels, 5)
    ours = jax.jit(partial(form, padding=padding))(x, kernel)
    assert_close(ours, torch_convolve(x, kernel, padding), BOUND)


@pytest.mark.parametrize(
    ("form", "width", "inputs", "outputs"),
    [
        ("as_written", 4, 6, 5),
        ("taps_as_outputs", 16, 6, 5),
        ("taps_as_inputs", 20, 6, 5),
        ("sum_of_taps", 20, 70, 3),
    ],
)
def test_a_cpu_runs_each_form_where_it_is_fastest_with_equal_gradients(
    form, width, inputs, outputs
):
    x = draw(1, 3, 4, width, inputs)
    kernel = draw_kernel(3, 3, 3, inputs, outputs)
    cotangent = draw(1, 3, 4, width, outputs, seed=2)
    # The shape is one for which a CPU has this form.
    assert cpu_form(x.shape, kernel.shape) == form

    def gradients(convolution):
        def product(x, kernel):
            return jnp.sum(convolution(x, kernel, padding=PADDING) * cotangent)

        return jax.jit(jax.grad(product, (0, 1)))(x, kernel)

    for ours, reference in zip(gradients(convolve), gradients(as_written), strict=True):
        assert_close(ours, reference, BOUND)


def test_the_mask_convolution_sums_its_taps_after_one_wide_convolution():
    assert cpu_form((1, 16, 64, 64, 142), (7, 7, 7, 142, 22)) == "taps_as_outputs"


def lowered_convolution(platform: str, outputs: int) -> str:
    """Return the only convolution in the StableHLO of a 3 x 3 x 3 one."""
    x = draw(1, 3, 4, 20, 6)
    kernel = draw_kernel(3, 3, 3, 6, outputs)
    program = jax.jit(partial(convolve, padding=PADDING)).trace(x, kernel)
    text = program.lower(lowering_platforms=(platform,)).as_text()
    lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    (convolution,) = lines
    return convolution


def test_a_tpu_runs_three_dimensional_convolutions_as_written():
    # Three spatial axes: the convolution as it stands.
    assert "[b, 0, 1, 2, f]" in lowered_convolution("tpu", outputs=5)


@pytest.mark.parametrize(
    ("outputs", "kernel"),
    [(5, "3x3x8x24"), (64, "3x3x24x64")],
    ids=["few outputs: taps as outputs", "many: taps as inputs"],
)
def test_an_nvidia_gpu_runs_them_as_one_two_dimensional_one_of_whole_eights(
    outputs, kernel
):
    convolution = lowered_convolution("cuda", outputs)
    # Two spatial axes: the third one's taps are channels.
    assert "[b, 0, 1, f]" in convolution
    assert f"tensor<{kernel}xf32>" in convolution
