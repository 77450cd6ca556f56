"""A network's arrays by dotted path, such as `stem.conv.kernel`."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from flax import nnx, traverse_util

from jaxportrait.models.parts import abstract

Leaves = Mapping[str, Any]
"""Dotted path -> array of a network."""
ArrayShapes = Mapping[str, Any]
"""Dotted path -> shape and dtype of an array, as attributes."""


def leaf_shapes(network: nnx.Module) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shape and dtype of every array of a network, by dotted path."""
    return {
        ".".join(map(str, path)): leaf.get_value() for path, leaf in _variables(network)
    }


@lru_cache(maxsize=64)
def shapes_of_config(config: Any) -> ArrayShapes:
    """Return the shapes of the arrays of the network of this config."""
    return leaf_shapes(abstract(config))


def leaves_of(network: nnx.Module) -> dict[str, np.ndarray]:
    """Return every array of a network on the host, by dotted path."""
    # A network with weights has arrays where an abstract one has shapes.
    return {name: np.asarray(leaf) for name, leaf in leaf_shapes(network).items()}


def fill(network: nnx.Module, leaves: Leaves) -> None:
    """Set every array of a network from host arrays, as float32."""
    for path, leaf in _variables(network):
        # In place: a network of shapes becomes one of arrays.
        leaf.set_value(np.asarray(leaves[".".join(map(str, path))], np.float32))


def nest(leaves: Leaves) -> dict[str, Any]:
    """Return the tree whose dotted paths are the names of `leaves`."""
    return dict(traverse_util.unflatten_dict(dict(leaves), sep="."))


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a tree by dotted path."""
    return dict(traverse_util.flatten_dict(dict(tree), sep="."))


def checksum(leaf: np.ndarray) -> str:
    """Return the SHA-256 of an array's float32 values, little-endian, in C order.

    It is the same whether the checkpoint stores the values in float16 or in float32.
    """
    # Byte order and memory layout are fixed, so that machines agree.
    values = np.ascontiguousarray(leaf, np.dtype("<f4")).reshape(-1)
    return hashlib.sha256(values.data).hexdigest()


def _variables(network: nnx.Module) -> list[tuple[tuple, nnx.Variable]]:
    # The states of random generators are no weights.
    state = nnx.to_flat_state(nnx.state(network, nnx.Not(nnx.RngState)))
    return list(state)
