"""Networks whose values are computed again, beside the same ones that keep them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.models.appearance import AppearanceConfig
from jaxportrait.models.generator import GeneratorConfig
from jaxportrait.models.parts import build
from train.engine.state import batch_statistics_of, network_of, parameters_of
from train.renderer.remat import rematerialize

QUICK: dict[str, str | bool] = {"xla_backend_optimization_level": 0}
CASES = {
    "appearance": (AppearanceConfig(4, 8, 1, 2, 2, 1), (2, 8, 8, 3)),
    "generator": (GeneratorConfig(4, 4, 4, 1, 1), (1, 4, 4, 4)),
}
"""A network with batch norms and one with spectral norms, and what each reads."""


@pytest.mark.parametrize(
    ("part", "choice"),
    [
        ("appearance", "blocks"),
        ("generator", "blocks"),
        ("appearance", "networks"),
    ],
)
def test_values_that_are_computed_again_are_the_same(part, choice):
    config, shape = CASES[part]
    template: Any = nnx.eval_shape(lambda: build(config, rngs=nnx.Rngs(0)))
    network = build(config, rngs=nnx.Rngs(0))
    params = parameters_of(network)
    measured = batch_statistics_of(network)
    x = jax.random.normal(jax.random.key(1), shape)

    def gradients(choice: Any) -> Any:
        def loss(params):
            network = network_of(template, params | measured)
            network.train()
            network = rematerialize(network, choice)
            total = jnp.mean(jnp.square(network(x)))
            return total, batch_statistics_of(network)

        function = jax.value_and_grad(loss, has_aux=True)
        # One program that computes everything is lowered, and compiled quickly.
        lowered = jax.jit(function).lower(params)
        text = str(jax.make_jaxpr(function)(params))
        return lowered.compile(QUICK)(params), text.count("remat2")

    plain, none = gradients("none")
    again, some = gradients(choice)
    assert none == 0
    assert some > 0
    # The loss, what was measured, and gradients.
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)
