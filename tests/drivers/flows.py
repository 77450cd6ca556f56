"""A small flow transformer and an analytic velocity, for tests of drivers."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxportrait.models.flow_transformer import FlowTransformer, FlowTransformerConfig
from jaxportrait.models.parts import build

CONFIG = FlowTransformerConfig.tiny()


def towards(params, motion, time, condition):
    """Return the velocity of a flow that ends at `condition`, whatever the state."""
    return (condition - motion) / (1 - time)[:, None, None]


def small_transformer(config: FlowTransformerConfig = CONFIG) -> FlowTransformer:
    """Build a transformer whose zero-initialised layers have weights too.

    The motion of a fresh one does not depend on its sound.
    """
    network = build("flow_transformer", config, rngs=nnx.Rngs(1))
    rng = np.random.default_rng(2)

    def fill(leaf: jax.Array) -> jax.Array:
        values = leaf if np.any(leaf) else rng.normal(0, 0.05, leaf.shape)
        return jnp.asarray(values, jnp.float32)

    nnx.update(network, jax.tree.map(fill, nnx.state(network)))
    return network
