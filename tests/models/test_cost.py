"""Savings of operations, counted and not timed.

Every test compiles or lowers a fast form and a plain one by the installed JAX, and
compares their counts. So it fails when a saving is lost, and not with another version
of XLA.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.models.blocks import GatedConvMLP
from jaxportrait.models.generator import GeneratorConfig, SpadeBlock
from jaxportrait.models.inference import for_inference
from jaxportrait.models.mmdit import Modulation
from jaxportrait.models.warping import WarpingConfig
from jaxportrait.ops.conv import (
    as_written,
    convolve_prepared,
    convolve_upsampled,
    half_padding,
    prepare,
)
from jaxportrait.ops.grid import translate_volume
from jaxportrait.ops.resize import upsample_nearest
from tests.models.networks import drawn, inputs_of, tiny

WIDE = {
    "warping": replace(WarpingConfig.tiny(), features=64),
    "generator": replace(
        GeneratorConfig.tiny(), features=64, hidden=64, output_channels=64
    ),
}
"""Small networks whose layers are wide enough for every saving."""


def cost_of(program: Callable, *arguments: Any) -> dict[str, float]:
    """Return the operations and bytes of a program, compiled for a CPU."""
    return jax.jit(program).lower(*arguments).compile().cost_analysis()


def call(network: Callable, *inputs: Any) -> Any:
    return network(*inputs)


def frame_inputs(part: str) -> list[Any]:
    """Return what W or G reads for two frames of one source."""
    if part == "generator":
        return [jnp.zeros((2, 16, 16, 64))]
    volume, source, driving = inputs_of("warping")
    channels = WIDE["warping"].compressed_channels
    compressed = jnp.zeros((1, *volume.shape[1:-1], channels))
    return [volume[:1], source[:1], driving, compressed]


# Toom-Cook forms need 10 products where three taps have 24, and seven have 28. Their
# sums come on top, and the first and last layers of either network have none. They move
# more bytes: a tile holds ten rows for eight of the result, 1.25 times as many, and is
# written and read again before the products and after. That is at most 3.5 times what a
# convolution reads and writes, and other layers move as much as before.
@pytest.mark.parametrize(
    ("part", "operations", "traffic"), [("warping", 0.45, 2.3), ("generator", 0.5, 2.3)]
)
def test_a_frame_needs_half_of_the_operations_in_the_inference_form(
    part, operations, traffic
):
    network = drawn(WIDE[part])
    inputs = frame_inputs(part)
    plain = cost_of(call, network, *inputs)
    cost = cost_of(call, for_inference(network), *inputs)
    assert cost["flops"] < operations * plain["flops"]
    assert cost["bytes accessed"] < traffic * plain["bytes accessed"]


# 4 products of 9 and 4 of 16 where all fine pixels but the outer ones are of one phase.
# A map of 32 is padded to 33 windows a side, 1.06 times as many.
@pytest.mark.parametrize(("factor", "bound"), [(2, 0.48), (4, 0.27)])
@pytest.mark.parametrize("prepared", [False, True])
def test_an_upsampled_map_is_convolved_before_it_is_upsampled(factor, bound, prepared):
    x = jnp.zeros((1, 32, 32, 64))
    kernel = np.zeros((3, 3, 64, 64), np.float32)
    padding = half_padding(kernel)

    def plain(x, kernel):
        return as_written(upsample_nearest(x, factor), kernel, padding=padding)

    if prepared:
        kernels = prepare(kernel, factor, toom_cook=False)
        form = partial(convolve_prepared, upsample=factor, padding=padding)
        cost = cost_of(form, x, kernels)
    else:
        cost = cost_of(partial(convolve_upsampled, factor=factor), x, kernel)
    assert cost["flops"] < bound * cost_of(plain, x, kernel)["flops"]


# 10 products of 24 for three taps, and their sums. 10 of 28 for seven; XLA does not
# count the depth taps beyond a volume of eight planes, 12 of 56, and the form has them.
@pytest.mark.parametrize(
    ("size", "taps", "bound"),
    [((32, 32), (3, 3), 0.48), ((8, 32, 32), (7, 7, 7), 0.51)],
)
def test_a_toom_cook_form_needs_half_of_the_operations(size, taps, bound):
    x = jnp.zeros((1, *size, 64))
    kernel = np.zeros((*taps, 64, 64 if len(taps) == 2 else 22), np.float32)
    padding = half_padding(kernel)
    kernels = prepare(kernel, 1, toom_cook=True)
    form = partial(convolve_prepared, upsample=1, padding=padding)
    plain = cost_of(partial(as_written, padding=padding), x, kernel)
    assert cost_of(form, x, kernels)["flops"] < bound * plain["flops"]


def count(operation: str, program: Callable, *arguments: Any) -> int:
    """Return how often an operation stands in a program for an accelerator."""
    lowered = jax.jit(program).trace(*arguments).lower(lowering_platforms=("cuda",))
    return lowered.as_text().count(f"stablehlo.{operation}")


def modules_of(network: nnx.Module, kind: type[nnx.Module]) -> list[Any]:
    modules = [module for _, module in nnx.iter_modules(network)]
    return [module for module in modules if isinstance(module, kind)]


def test_convolutions_over_the_same_features_are_one():
    network = tiny("generator", "float16")
    inputs = inputs_of("generator")
    # A block of n norms: n convolutions over the features become one, and n pairs of
    # scale and shift become n.
    savings = 0
    for block in modules_of(network, SpadeBlock):
        norms = 3 if block.widens else 2
        savings += norms - 1 + norms
    plain = count("convolution", call, network, *inputs)
    assert (
        count("convolution", call, for_inference(network), *inputs) == plain - savings
    )


def test_products_over_the_same_tokens_are_one():
    network = tiny("flow_transformer")
    inputs = inputs_of("flow_transformer")
    # Two of the three products of every MLP; all modulations of either condition.
    mlps = len(modules_of(network, GatedConvMLP))
    modulations = len(modules_of(network, Modulation))
    savings = mlps + modulations - 2
    plain = count("dot_general", call, network, *inputs)
    assert (
        count("dot_general", call, for_inference(network), *inputs) == plain - savings
    )


def test_translating_a_volume_gathers_nothing():
    volume = jnp.zeros((1, 4, 5, 6, 3))
    assert count("gather", translate_volume, volume, jnp.zeros((2, 22, 3))) == 0
