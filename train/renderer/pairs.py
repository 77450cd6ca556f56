"""Pairs of frames on devices, and as pictures: what the stages of the renderer and of stitching share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8

from train.program import Given, Plot
from train.renderer.records import FrameDataset
from train.state import Params

PLOTTED_PAIRS = 6


def pair_inputs(dataset: FrameDataset) -> dict[str, tuple[tuple[int, ...], Any]]:
    """What of a batch the networks read: shape of a sample, and dtype."""
    size, points = dataset.size, dataset.landmarks
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {"row": ((), jnp.int32)}
    for role in ("source", "driving"):
        shapes[role] = ((size, size, 3), jnp.uint8)
        shapes[f"{role}_landmarks"] = ((points, 2), jnp.float32)
        shapes[f"{role}_pose"] = ((3,), jnp.float32)
    return shapes


def plot_pairs(picture: Callable[..., Any], mesh: Mesh) -> Plot:
    """The first held-out pairs, a row each: `pairs`.

    Args:
      picture: (*given, average, batch) -> a picture of as many rows, of equal height, as the batch has pairs.
    """
    draw = jax.jit(picture, out_shardings=NamedSharding(mesh, P()))

    def plot(given: Given, average: Params, held_out: Any) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
        if not held_out:
            return {}
        drawn = np.asarray(draw(*given, average, held_out[0]))
        shown = drawn[: PLOTTED_PAIRS * (len(drawn) // len(held_out[0]["row"]))]
        return {"pairs": np.asarray(np.rint(255 * shown), np.uint8)}

    return plot
