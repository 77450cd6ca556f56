"""The state before the first update."""

import jax
import numpy as np
import pytest

from train.engine.config import ConfigError
from train.engine.mesh import make_mesh
from train.engine.program import MeshProgram
from train.flow.config import FlowConfig, TransformerSize
from train.flow.stage import flow_program

pytestmark = pytest.mark.usefixtures("optax_promotion")


@pytest.fixture(scope="module")
def program() -> MeshProgram:
    transformer = TransformerSize(16, 2, 1, 1).config("lip", 8)
    return flow_program(FlowConfig(seed=3), transformer).on(make_mesh(1))


def test_initial_weights_replace_fresh_ones_and_the_rest_is_fresh(
    program: MeshProgram,
):
    name = "time.expand.kernel"
    fresh = program.initial_state()
    sevens = np.full(fresh.params[name].shape, 7, np.float32)
    state = program.initial_state({name: sevens})
    for tree in (state.params, state.average):
        np.testing.assert_array_equal(tree[name], sevens)
    for other in fresh.params.keys() - {name}:
        np.testing.assert_array_equal(state.params[other], fresh.params[other])
    assert state.step == 0
    shapes = jax.tree.map(lambda leaf: leaf.shape, state)
    assert shapes == jax.tree.map(lambda leaf: leaf.shape, program.state)


def test_weights_that_no_network_has_are_named(program: MeshProgram):
    with pytest.raises(
        ConfigError,
        match=r"the weights to start from hold time\.extra, which the networks",
    ):
        program.initial_state({"time.extra": np.zeros(3)})
