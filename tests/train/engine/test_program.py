"""How the state before the first update is made."""

import jax
import numpy as np
import pytest

from train.engine.config import ConfigError, OptimizerConfig
from train.engine.mesh import make_mesh
from train.engine.program import Program
from train.flow.config import TransformerSize
from train.flow.stage import flow_program
from train.flow.step import StepConfig

pytestmark = pytest.mark.usefixtures("optax_promotion")


@pytest.fixture(scope="module")
def program() -> Program:
    return flow_program(
        StepConfig(TransformerSize(16, 2, 1, 1).config("lip", 8), OptimizerConfig()),
        seed=3,
    )


def test_given_weights_stand_in_place_of_fresh_ones_and_the_rest_is_fresh(
    program: Program,
):
    mesh, name = make_mesh(1), "time.expand.kernel"
    fresh = program.initial_state(mesh)
    given = np.full(fresh.params[name].shape, 7, np.float32)
    state = program.initial_state(mesh, {name: given})
    for tree in (state.params, state.average):
        np.testing.assert_array_equal(tree[name], given)
    for other in fresh.params.keys() - {name}:
        np.testing.assert_array_equal(state.params[other], fresh.params[other])
    assert state.step == 0
    assert jax.tree.map(lambda leaf: leaf.shape, state) == jax.tree.map(
        lambda leaf: leaf.shape, program.abstract_state(mesh)
    )


def test_weights_that_no_network_has_are_named(program: Program):
    with pytest.raises(
        ConfigError,
        match=r"the weights to start from hold time\.extra, which the networks",
    ):
        program.initial_state(make_mesh(1), {"time.extra": np.zeros(3)})
