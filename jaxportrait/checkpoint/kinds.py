"""The registry of drivers: one row a driver, and the only table of them.

A checkpoint describes its drivers, and a driver loads its networks from a checkpoint.
So a row names the driver's module, which is imported only when the row is used.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from jaxportrait.motion.space import MotionStatistics


class DriverConfig(Protocol):
    """The settings of a driver: a frozen dataclass, which a checkpoint stores.

    Attributes:
      fps: frames of motion a second.
      moves_head: False for a driver that moves only the lips' expression.
    """

    @property
    def fps(self) -> float: ...

    @property
    def moves_head(self) -> bool: ...

    def check(
        self, parts: Mapping[str, Any], statistics: MotionStatistics | None
    ) -> None:
        """Raise a CheckpointError unless the driver fits its parts and statistics.

        Args:
          parts: name -> config of the checkpoint's networks.
          statistics: normalisation of the driver's motion, if it has one.
        """
        ...


class DriverKind(NamedTuple):
    """A row of the registry.

    Attributes:
      module: dotted name of the driver's file.
      config: name of its `DriverConfig`; None for a driver that no checkpoint
        describes.
      loader: name of the function that makes the driver; see `drivers.registry`.
    """

    module: str
    config: str | None
    loader: str


AUTO_DRIVER = "auto"
"""In place of a driver's name: the only one of the checkpoint."""
DRIVERS: dict[str, DriverKind] = {
    "flow": DriverKind("jaxportrait.drivers.flow", "FlowDriverConfig", "load_flow"),
    "diffusion": DriverKind(
        "jaxportrait.drivers.diffusion", "DiffusionDriverConfig", "load_diffusion"
    ),
    "ditto": DriverKind("jaxportrait.drivers.ditto", "DittoDriverConfig", "load_ditto"),
}
"""Kind -> driver. A new driver is one file and one row here."""


def described_kinds() -> list[str]:
    """Return the kinds of driver that a checkpoint may describe."""
    return [kind for kind, row in DRIVERS.items() if row.config is not None]


def driver_config(kind: str) -> type[Any]:
    """Return the config class of a kind of driver; only this driver is imported."""
    row = DRIVERS[kind]
    if row.config is None:
        raise TypeError(f"a checkpoint describes no driver of kind {kind}")
    return getattr(import_module(row.module), row.config)


def driver_kind(config: DriverConfig) -> str:
    """Return the kind of driver that `config` belongs to."""
    for kind in described_kinds():
        if driver_config(kind) is type(config):
            return kind
    raise TypeError(f"{type(config).__name__} is the config of no registered driver")


def driver_loader(kind: str) -> Any:
    """Return the loader of a kind of driver."""
    row = DRIVERS[kind]
    return getattr(import_module(row.module), row.loader)
