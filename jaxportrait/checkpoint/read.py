"""Reading checkpoints: the description at once, each network when it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from jaxportrait.checkpoint.arrays import fill, leaf_shapes
from jaxportrait.checkpoint.contents import Contents, Crop, DriverEntry, listed
from jaxportrait.checkpoint.description import (
    STATISTICS_NAME,
    Description,
    decode,
    upgrade,
)
from jaxportrait.checkpoint.errors import CheckpointError
from jaxportrait.checkpoint.files import FILES, verify_files
from jaxportrait.checkpoint.fit import check_arrays
from jaxportrait.checkpoint.stored import (
    read_arrays,
    read_items,
    verify_arrays,
    verify_statistics,
)
from jaxportrait.models.inference import for_inference
from jaxportrait.models.parts import Role, abstract
from jaxportrait.motion.space import KeypointGroups, MotionStatistics


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint: its contents are read, its networks are not.

    Attributes:
      files: name -> path of a stored file that is no array.
      sha256: part -> path of an array -> checksum; empty where none were stored.
    """

    path: Path
    contents: Contents
    files: Mapping[str, Path] = field(default_factory=dict)
    sha256: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def crop(self) -> Crop:
        return self.contents.crop

    @property
    def parts(self) -> Mapping[str, Any]:
        """Name -> config of every part."""
        return self.contents.parts

    @property
    def drivers(self) -> Mapping[str, DriverEntry]:
        return self.contents.drivers

    @property
    def keypoints(self) -> KeypointGroups:
        return self.contents.keypoints

    def encoder(self, name: str | None = None) -> str:
        """Return the name of a part that encodes sound: the one of this name, or the
        only one.

        Raises:
          CheckpointError: there is no such encoder, or there are several and none is
            named.
        """
        encoders = self.with_role("audio features")
        if name is None:
            return self._only(encoders, "audio encoder")
        if name not in encoders:
            raise CheckpointError(
                f"checkpoint {self.path} holds no audio encoder {name} (it has: {listed(encoders)})"
            )
        return name

    def driver(self, name: str | None = None) -> DriverEntry:
        """Return a driver by name, or the only one.

        Raises:
          CheckpointError: there is no such driver, or there are several and none is
            named.
        """
        # Most checkpoints have one driver, which needs no name.
        if name is None:
            name = self.driver_name()
        if name not in self.drivers:
            raise CheckpointError(
                f"checkpoint {self.path} holds no driver {name} (it has: {listed(self.drivers)})"
            )
        return self.drivers[name]

    def driver_name(self) -> str:
        """Return the name of the only driver; raise a CheckpointError as `driver` does."""
        return self._only(list(self.drivers), "driver")

    def with_role(self, role: Role) -> list[str]:
        """Return the names of the parts with this role."""
        return self.contents.with_role(role)

    def sizes(self, part: str) -> Any:
        """Return the config of `part`; raise a CheckpointError if it is missing."""
        self.require([part])
        return self.parts[part]

    def require(self, parts: Sequence[str]) -> None:
        """Raise a CheckpointError if any of `parts` is missing."""
        missing = [part for part in parts if part not in self.parts]
        if missing:
            raise CheckpointError(
                f"checkpoint {self.path} holds no {', no '.join(missing)} (it has: {listed(self.parts)}): convert the "
                "missing weights with `python -m convert_weights`"
            )

    def leaves(self, part: str) -> dict[str, np.ndarray]:
        """Return the stored arrays of `part` on the host, in float32.

        Raises:
          CheckpointError: the part is missing or damaged.
        """
        return self._read(part, abstract(self.sizes(part)))

    def network(self, part: str, *, dtype: DTypeLike = jnp.float32) -> Any:
        """Return the network of `part` in its inference form, on the default device.

        Args:
          dtype: dtype of the weights and of the computation.

        Raises:
          CheckpointError: the part is missing or damaged.
        """
        # Shapes first, so that nothing is initialised only to be overwritten.
        network = abstract(self.sizes(part), dtype=dtype)
        fill(network, self._read(part, network))
        # Folded on the host in float32, then cast and put on the device.
        network = for_inference(network)
        nnx.update(
            network,
            jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), nnx.state(network)),
        )
        return network

    # A role that several parts have must be named by the caller.
    def _only(self, names: list[str], noun: str) -> str:
        if len(names) == 1:
            return names[0]
        if not names:
            raise CheckpointError(
                f"checkpoint {self.path} holds no {noun} (it has: {listed(self.parts)}): choose another checkpoint"
            )
        raise CheckpointError(
            f"checkpoint {self.path} holds several {noun}s, {listed(names)}: choose the {noun} by its name"
        )

    def _read(self, part: str, network: nnx.Module) -> dict[str, np.ndarray]:
        """Return the stored arrays of `part`, whose names are those of `network`."""
        leaves = read_arrays(self.path, part, leaf_shapes(network))
        try:
            verify_arrays(leaves, self.sha256.get(part, {}), f"its {part}")
        except CheckpointError as error:
            raise CheckpointError(
                f"{self.path} is damaged, {error}: convert it again"
            ) from error
        return leaves


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open the checkpoint at `path`.

    Everything but the values of the networks' arrays is checked.

    Raises:
      CheckpointError: there is none, or it cannot be read.
    """
    # Orbax accepts only absolute paths.
    path = Path(path).absolute()
    if not path.is_dir():
        raise CheckpointError(
            f"no checkpoint at {path}: make one with `python -m convert_weights`"
        )
    items = read_items(path)
    # Everything that is wrong with the description names the checkpoint.
    try:
        values, statistics = items.config, items.statistics
        if isinstance(values, Mapping) and values.get("format") == 1:
            values, statistics = upgrade(values, statistics)
        description = decode(values)
        contents = _contents(description, statistics)
        check_arrays(contents.parts, items.shapes)
        verify_files(path, description.files)
    except CheckpointError as error:
        raise CheckpointError(
            f"checkpoint {path} cannot be read, {error} (a newer version wrote it, or it is damaged)"
        ) from error
    files = {name: path / FILES / name for name in description.files}
    return Checkpoint(path, contents, files, description.sha256)


def _contents(description: Description, statistics: Mapping[str, Any]) -> Contents:
    """Return the description with each driver's statistics beside its config."""
    drivers = {}
    for name, config in description.drivers.items():
        arrays = statistics.get(name)
        if arrays:
            digests = description.sha256.get(STATISTICS_NAME.format(name), {})
            owner = f"the statistics of its driver {name}"
            arrays = MotionStatistics(**verify_statistics(arrays, digests, owner))
        drivers[name] = DriverEntry(config, arrays or None)
    return Contents(description.crop, description.parts, drivers, description.keypoints)
