"""A picture of what networks make of held-out pairs of frames."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from train.engine.program import Frozen
from train.engine.stage import HeldOut, Pictures, Plot
from train.engine.state import Params

PLOTTED_PAIRS = 6


def plot_pairs(picture: Callable[..., Any], mesh: Mesh) -> Plot:
    """Return the function that plots the first held-out pairs, a row each: `pairs`.

    Args:
      picture: (*frozen, average, batch) -> a picture of as many rows, of equal height,
        as the batch has pairs.
      mesh: devices of the run.
    """
    draw = jax.jit(picture, out_shardings=NamedSharding(mesh, P()))

    def plot(frozen: Frozen, average: Params, held_out: HeldOut) -> Pictures:
        if not held_out:
            return {}
        batch = held_out[0]
        # The whole batch is drawn, as its rows lie on all devices.
        drawn = np.asarray(draw(*frozen, average, batch))
        row_height = len(drawn) // len(batch["row"])
        shown = drawn[: PLOTTED_PAIRS * row_height]
        return {"pairs": np.asarray(np.rint(255 * shown), np.uint8)}

    return plot
