"""Tiny networks of drawn weights, and what they read and return."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxportrait.checkpoint import Contents, fill, leaf_shapes
from jaxportrait.models.blocks import SpectralConv
from jaxportrait.models.parts import abstract
from tests.arrays import draw

COMPONENTS = {
    "appearance": "full/appearance_feature_extractor",
    "motion": "full/motion_extractor",
    "warping": "full/warping_module",
    "generator": "full/spade_generator",
    "stitching": "full/stitching_retargeting_module/stitching",
    "lip_retargeting": "full/stitching_retargeting_module/lip",
    "eye_retargeting": "full/stitching_retargeting_module/eye",
    "whisper": "tiny/whisper",
    "flow_transformer": "full/animate_net",
}
"""Part -> its name in the golden manifests."""

SMALL_BOUND = 3e-5
HALF_BOUNDS = {"bfloat16": 6e-2, "float16": 1e-2}
"""They have 8 and 11 bits, and a network rounds at every layer."""
POWER_ITERATIONS = 5

INPUTS: dict[str, tuple[tuple[int, ...], ...]] = {
    "appearance": ((64, 64, 3),),
    "motion": ((64, 64, 3),),
    "warping": ((8, 16, 16, 4), (21, 3), (21, 3)),
    "generator": ((16, 16, 32),),
    "stitching": ((126,),),
    "lip_retargeting": ((65,),),
    "eye_retargeting": ((66,),),
    "whisper": ((60, 80),),
    "flow_transformer": ((30, 18), (), (50, 32)),
}
"""Part -> shapes of what its tiny network reads, without the batch."""


@cache
def tiny(part: str, dtype: str = "float32") -> Any:
    """Return a tiny network of `drawn` weights; it is shared, so never change it."""
    return drawn(Contents.tiny().parts[part], dtype)


def drawn(config: Any, dtype: str = "float32") -> Any:
    """Return a network with every leaf drawn: fresh ones hold zeros.

    Its spectral norms are near the truth, as in any trained network. A drawn pair of
    vectors would divide by next to nothing.
    """
    network = abstract(config, dtype=jnp.dtype(dtype))
    leaves = leaf_shapes(network)
    fill(network, {name: draw_leaf(name, leaf.shape) for name, leaf in leaves.items()})
    # From the host to the device, once.
    nnx.update(network, jax.tree.map(jnp.asarray, nnx.state(network)))
    for _, module in nnx.iter_graph(network):
        if isinstance(module, SpectralConv):
            for _ in range(POWER_ITERATIONS):
                module.iterate()
    network.eval()
    return network


def draw_leaf(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the values of a leaf by its name.

    Kernels keep the size of what they read. Scales and variances, the scale head's too,
    are about one; all else is about zero.
    """
    # The name is the seed, so that leaves of one shape differ.
    rng = np.random.default_rng(list(name.encode()))
    if name.endswith(("kernel", ".u", ".v")):
        fan_in = np.float32(np.prod(shape[:-1]))
        return rng.standard_normal(shape, np.float32) / np.sqrt(fan_in)
    if name.endswith((".scale", ".var")) or name == "scale.bias":
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return 0.1 * rng.standard_normal(shape, np.float32)


def inputs_of(part: str, batch: int = 2) -> list[jax.Array]:
    return [
        jnp.asarray(0.3 * draw(batch, *shape, seed=i))
        for i, shape in enumerate(INPUTS[part])
    ]


@jax.jit
def program(network: Callable, inputs: list[jax.Array]) -> Any:
    return network(*inputs)


def call(network: Callable, inputs: list[jax.Array]) -> list[jax.Array]:
    """Return the leaves of a network's output.

    They are computed by one jitted program of which the network is an argument.
    """
    return jax.tree.leaves(program(network, inputs))


@cache
def outputs_of(part: str) -> list[jax.Array]:
    """Return the outputs of a tiny network for `inputs_of`."""
    return call(tiny(part), inputs_of(part))


def statistics_of(network: nnx.Module) -> list[np.ndarray]:
    leaves = jax.tree.leaves(nnx.state(network, nnx.BatchStat))
    return [np.asarray(leaf) for leaf in leaves]
