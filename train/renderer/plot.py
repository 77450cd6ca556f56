"""What networks make of held-out pairs of frames, as a picture."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8

from train.engine.program import Given, HeldOut, Plot
from train.engine.state import Params

PLOTTED_PAIRS = 6


def plot_pairs(picture: Callable[..., Any], mesh: Mesh) -> Plot:
    """The first held-out pairs, a row each: `pairs`.

    Args:
      picture: (*given, average, batch) -> a picture of as many rows, of equal height,
        as the batch has pairs.
    """
    draw = jax.jit(picture, out_shardings=NamedSharding(mesh, P()))

    def plot(
        given: Given, average: Params, held_out: HeldOut
    ) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
        if not held_out:
            return {}
        drawn = np.asarray(draw(*given, average, held_out[0]))
        shown = drawn[: PLOTTED_PAIRS * (len(drawn) // len(held_out[0]["row"]))]
        return {"pairs": np.asarray(np.rint(255 * shown), np.uint8)}

    return plot
