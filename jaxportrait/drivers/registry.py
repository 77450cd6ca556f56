"""Load drivers by the rows of `checkpoint.kinds`."""

from typing import Protocol

import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxportrait.checkpoint import AUTO_DRIVER, Checkpoint
from jaxportrait.checkpoint.kinds import DRIVERS, driver_loader
from jaxportrait.drivers.base import Driver


class DriverLoader(Protocol):
    """Loads the driver of an open checkpoint, as `load_driver` describes."""

    def __call__(
        self,
        checkpoint: Checkpoint,
        *,
        name: str | None,
        dtype: DTypeLike,
        full_precision: bool,
    ) -> Driver: ...


def load_driver(
    checkpoint: Checkpoint,
    name: str = AUTO_DRIVER,
    *,
    dtype: DTypeLike = jnp.float32,
    full_precision: bool = False,
) -> Driver:
    """Load a driver of an open checkpoint.

    Args:
      name: a driver that the checkpoint describes; "auto" for its only one; or a kind,
        for the only driver of that kind and for one that needs no weights.
      dtype: compute dtype of its networks.
      full_precision: whether products have full float32 factors, which accelerators
        round by default.

    Raises:
      CheckpointError: a part is missing or damaged, or there are several drivers to
        choose from.
      ValueError: there is neither a driver nor a kind of that name.
    """
    if name == AUTO_DRIVER:
        name = checkpoint.driver_name()
    # A driver's own name wins over a kind of the same name.
    described = name in checkpoint.drivers
    kind = checkpoint.drivers[name].kind if described else name
    if kind not in DRIVERS:
        names = ", ".join(sorted({*checkpoint.drivers, *DRIVERS}))
        raise ValueError(f"driver is {name!r}: choose one of {names}")
    loader: DriverLoader = driver_loader(kind)
    return loader(
        checkpoint,
        # A kind is no driver's name: its loader takes the only driver.
        name=name if described else None,
        dtype=dtype,
        full_precision=full_precision,
    )
