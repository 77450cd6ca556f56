"""Reading checkpoints: the description at once, each network when it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx
from jax.typing import DTypeLike

from jaxportrait.checkpoint.arrays import checksum, fill, flatten, leaf_shapes, nest
from jaxportrait.checkpoint.contents import (
    CheckpointError,
    Contents,
    Crop,
    DriverEntry,
    listed,
)
from jaxportrait.checkpoint.description import Description, decode, upgrade
from jaxportrait.checkpoint.files import (
    FILES,
    PARAMS,
    STATISTICS,
    handler,
    verify_files,
)
from jaxportrait.models.inference import for_inference
from jaxportrait.models.parts import Role, abstract
from jaxportrait.motion.space import KeypointGroups, MotionStatistics

READ_ERRORS = (OSError, ValueError, KeyError)
"""Errors of Orbax about files that are missing or damaged."""


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

    @property
    def audio_encoder(self) -> str:
        """Name of the only part that encodes sound.

        Raises:
          CheckpointError: there is none, or there are several.
        """
        return self._only(self.contents.with_role("audio features"), "audio encoder")

    def driver(self, name: str | None = None) -> DriverEntry:
        """Return a driver by name, or the only one.

        Raises:
          CheckpointError: there is no such driver, or there are several and none is
            named.
        """
        # Most checkpoints have one driver, which needs no name.
        if name is None:
            name = self._only(list(self.drivers), "driver")
        if name not in self.drivers:
            raise CheckpointError(
                f"checkpoint {self.path} holds no driver {name} (it has: {listed(self.drivers)})"
            )
        return self.drivers[name]

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
            f"checkpoint {self.path} holds several {noun}s, {listed(names)}: name one"
        )

    def _read(self, part: str, network: nnx.Module) -> dict[str, np.ndarray]:
        """Return the stored arrays of `part`, whose names are those of `network`."""
        names = leaf_shapes(network)
        # Orbax restores only the leaves that are named here.
        item = {part: nest(dict.fromkeys(names, 0))}
        # Weights that are stored in float16 are widened.
        as_float32 = ocp.RestoreArgs(
            restore_type=np.ndarray, dtype=np.dtype(np.float32)
        )
        restore = ocp.args.PyTreeRestore(
            item=item,
            restore_args=jax.tree.map(lambda _: as_float32, item),
            partial_restore=True,
        )
        try:
            with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
                leaves = flatten(reader.restore(self.path / PARAMS, args=restore)[part])
        except READ_ERRORS as error:
            raise CheckpointError(
                f"{self.path} is damaged, its {part} cannot be read ({error}): convert it again"
            ) from error
        # Checksums are optional, and of values: see `arrays.checksum`.
        for name, digest in self.sha256.get(part, {}).items():
            if name not in leaves or checksum(leaves[name]) != digest:
                raise CheckpointError(
                    f"{self.path} is damaged, {name} of its {part} is not what was stored: convert it again"
                )
        return leaves


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Open the checkpoint at `path`.

    Raises:
      CheckpointError: there is none, or it cannot be read.
    """
    # Orbax accepts only absolute paths.
    path = Path(path).absolute()
    if not path.is_dir():
        raise CheckpointError(
            f"no checkpoint at {path}: make one with `python -m convert_weights`"
        )
    # The description, and statistics where a driver has any.
    try:
        with ocp.Checkpointer(handler()) as reader:
            config = ocp.args.Composite(config=ocp.args.JsonRestore())
            values = reader.restore(path, args=config)["config"]
            statistics = {}
            if (path / STATISTICS).is_dir():
                item = ocp.args.Composite(statistics=ocp.args.PyTreeRestore())
                statistics = reader.restore(path, args=item)["statistics"]
    except READ_ERRORS as error:
        raise CheckpointError(
            f"{path} is not a jaxportrait checkpoint, or it is damaged: {error}"
        ) from error
    # Everything that is wrong with the description names the checkpoint.
    try:
        if isinstance(values, Mapping) and values.get("format") == 1:
            values, statistics = upgrade(values, statistics)
        description = decode(values)
        contents = _contents(description, statistics)
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
            arrays = MotionStatistics(
                np.asarray(arrays["mean"]), np.asarray(arrays["std"])
            )
        drivers[name] = DriverEntry(config, arrays or None)
    return Contents(description.crop, description.parts, drivers, description.keypoints)
