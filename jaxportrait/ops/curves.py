"""Curves over time, on the host."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Shaped


def smoothstep(share: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return shares from 0 to 1 that leave 0 and reach 1 gently, with a slope of 0."""
    return share * share * (3 - 2 * share)


def interpolate_rows(
    moments: Shaped[np.ndarray, " n"],
    times: Sequence[float] | Float[np.ndarray, " k"],
    rows: Float[np.ndarray, "k d"],
) -> Float64[np.ndarray, "n d"]:
    """Return rows at some moments: linear between their times, and held beyond them.

    Args:
      moments: seconds, or numbers of frames.
      times: moments of the rows, in order.
      rows: values at these times.
    """
    # `np.interp` takes one column at a time.
    columns = [np.interp(moments, times, column) for column in rows.T]
    return np.stack(columns, axis=1)
