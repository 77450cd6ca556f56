"""Operations of programs, beside hand values, published figures and XLA's count."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from jax import lax

from jaxportrait.checkpoint import Contents
from jaxportrait.models.parts import abstract
from train.engine.mesh import make_mesh
from train.engine.operations import count_operations
from train.flow.config import FlowConfig, TransformerSize
from train.flow.stage import flow_program

pytestmark = pytest.mark.usefixtures("optax_promotion")
GIGA = 1e9


def count(function: Any, *shapes: tuple[int, ...]) -> float:
    """Return the operations of a function of arrays of these shapes."""
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return count_operations(jax.make_jaxpr(function)(*inputs))


def test_a_matrix_product_is_counted_by_its_terms():
    product = 2 * 3 * 4 * 5
    assert count(jnp.matmul, (3, 4), (4, 5)) == product
    # Elementwise operations do not count.
    assert count(lambda a, b: jnp.sin(a @ b), (3, 4), (4, 5)) == product

    # The gradients of both factors are a product each.
    def total(a, b):
        return jnp.sum(jnp.sin(a @ b))

    gradient = jax.grad(total, (0, 1))
    assert count(gradient, (3, 4), (4, 5)) == 3 * product


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (4, 1), (1, 2)])
def test_a_convolution_and_its_gradients_are_counted_by_their_taps(groups, stride):
    def convolve(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        options: dict[str, Any] = {"feature_group_count": groups}
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), "SAME", dimension_numbers=numbers, **options
        )

    inputs = 4 // groups
    shapes = (2, 8, 8, 4), (3, 3, inputs, 8)
    outputs = 2 * 8 * 8 * 8 // stride**2
    forward = 2 * outputs * 9 * inputs
    assert count(convolve, *shapes) == forward

    def total(x, kernel):
        return jnp.sum(convolve(x, kernel))

    update = jax.grad(total, (0, 1))
    # The gradient's windows reach over the edges, and count there as well.
    assert count(update, *shapes) == pytest.approx(3 * forward, rel=0.35)


def test_a_loop_counts_its_turns_and_a_choice_one_branch():
    once = jnp.matmul
    product = 2 * 3 * 4 * 4

    def loop(x, matrix):
        def turn(y, _):
            return once(y, matrix), None

        return lax.scan(turn, x, length=7)[0]

    def twice(x, matrix):
        return once(once(x, matrix), matrix)

    def choice(x, matrix):
        return lax.cond(x[0, 0] > 0, once, twice, x, matrix)

    assert count(loop, (3, 4), (4, 4)) == 7 * product
    assert count(choice, (3, 4), (4, 4)) == product


# W and G convolve before they enlarge a map, which saves operations.
@pytest.mark.parametrize(
    ("part", "shapes", "published", "saved"),
    [
        ("appearance", [(1, 256, 256, 3)], 64, 0.0),
        ("motion", [(1, 256, 256, 3)], 11.6, 0.0),
        ("warping", [(1, 16, 64, 64, 32), (1, 21, 3), (1, 21, 3)], 342, 0.07),
        ("generator", [(1, 64, 64, 256)], 892, 0.115),
    ],
)
def test_networks_of_the_published_size_have_the_published_operations(
    part, shapes, published, saved
):
    network = abstract(Contents.full().parts[part])
    network.eval()
    graph, state = nnx.split(network)

    def call(state, *inputs):
        return jax.tree.leaves(nnx.merge(graph, state)(*inputs))

    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    operations = count_operations(jax.make_jaxpr(call)(state, *inputs))
    assert operations == pytest.approx((1 - saved) * published * GIGA, rel=0.025)


def test_an_update_has_the_operations_that_xla_counts():
    transformer = TransformerSize(128, 2, 1, 1).config("lip", 64)
    config = FlowConfig(batch_size=8, accumulation=2)
    program = flow_program(config, transformer).on(make_mesh(1))
    counted = program.lower_update(8).cost_analysis() or {}
    # XLA counts elementwise operations as well.
    share = program.operations(8) / counted["flops"]
    assert 0.95 < share < 1.0
