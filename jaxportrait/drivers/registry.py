"""The drivers that a checkpoint may hold, by kind."""

from typing import Protocol

import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxportrait.checkpoint import Checkpoint
from jaxportrait.drivers.base import Driver
from jaxportrait.drivers.flow import load_flow


class DriverLoader(Protocol):
    """Loads the driver of an open checkpoint, as `load_driver` describes."""

    def __call__(
        self, checkpoint: Checkpoint, *, dtype: DTypeLike, full_precision: bool
    ) -> Driver: ...


DRIVERS: dict[str, DriverLoader] = {"flow": load_flow}
"""Kind -> loader. A new driver is one file and one row here."""


def load_driver(
    checkpoint: Checkpoint,
    kind: str = "flow",
    *,
    dtype: DTypeLike = jnp.float32,
    full_precision: bool = False,
) -> Driver:
    """Load a driver of an open checkpoint.

    Args:
      kind: a name of `DRIVERS`.
      dtype: compute dtype of its networks.
      full_precision: whether products have full float32 factors, which accelerators
        round by default.

    Raises:
      CheckpointError: a part is missing or damaged.
      ValueError: there is no driver of that kind.
    """
    if kind not in DRIVERS:
        kinds = ", ".join(DRIVERS)
        raise ValueError(f"driver kind is {kind!r}: choose one of {kinds}")
    return DRIVERS[kind](checkpoint, dtype=dtype, full_precision=full_precision)
