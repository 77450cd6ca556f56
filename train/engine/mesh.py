"""Devices of a run: the mesh, the layout of states and batches on it, and the other
processes.

The mesh has axes `data` and `fsdp`. A batch is sharded over both; weights and the
optimizer's state are sharded over `fsdp` and repeated over `data`. XLA inserts the
communication.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from train.engine.config import ConfigError

T = TypeVar("T")
LEAST_SHARDED = 4096
"""Arrays of fewer values are repeated on every device: sharding them costs more
communication than it saves memory."""


def connect(
    coordinator: str | None, processes: int | None, process: int | None
) -> None:
    """Join the other processes of a run, before any device is used.

    Args:
      coordinator: HOST:PORT of process 0, or "auto" under SLURM, Kubernetes or MPI,
        which know all three; None for a single process.
      processes: number of processes.
      process: number of this process, from 0.

    Raises:
      ConfigError: some of the three are missing.
    """
    # Clusters announce the address and the numbers by themselves.
    if coordinator == "auto":
        jax.distributed.initialize()
    elif coordinator is not None:
        if processes is None or process is None:
            raise ConfigError(
                f"--coordinator {coordinator} needs --processes N and --process I as well"
            )
        jax.distributed.initialize(coordinator, processes, process)
    elif processes is not None or process is not None:
        raise ConfigError(
            "--processes and --process need --coordinator HOST:PORT, the address of process 0"
        )


def make_mesh(fsdp: int) -> Mesh:
    """Return a mesh of every device of every process, `fsdp` of them side by side.

    Raises:
      ConfigError: `fsdp` does not divide the number of devices.
    """
    count = jax.device_count()
    if fsdp < 1 or count % fsdp:
        raise ConfigError(
            f"fsdp {fsdp} does not divide the {count} device(s): choose a divisor"
        )
    return Mesh(mesh_utils.create_device_mesh((count // fsdp, fsdp)), ("data", "fsdp"))


def check_batch(batch_size: int, microbatches: int, mesh: Mesh) -> None:
    """Raise a ConfigError unless every device has an equal share of every microbatch,
    a part of the batch that is computed at once."""
    share = microbatches * mesh.size
    if batch_size % share == 0:
        return
    # The largest accumulation that fits, or else the nearest batch size.
    divisors = [
        count
        for count in range(1, microbatches)
        if batch_size % (count * mesh.size) == 0
    ]
    nearest = share * max(1, round(batch_size / share))
    choice = f"accumulation {divisors[-1]}" if divisors else f"{nearest}"
    raise ConfigError(
        f"batch_size {batch_size} is no multiple of accumulation x devices, "
        f"{microbatches} x {mesh.size}: choose {choice}"
    )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding of a batch: its samples over all devices."""
    return NamedSharding(mesh, P(("data", "fsdp")))


def shard_shapes(shapes: T, mesh: Mesh) -> T:
    """Return the shapes and dtypes of a state with their shardings.

    A sharding depends only on a shape, so weights, averages and moments lie alike.
    """
    # Equal shapes have equal shardings, whatever tree they are in.
    fsdp = mesh.shape["fsdp"]

    def shard(leaf: Any) -> jax.ShapeDtypeStruct:
        sharding = NamedSharding(mesh, _partition(leaf.shape, fsdp))
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    return jax.tree.map(shard, shapes)


def shardings_of(shapes: T) -> T:
    """Return the shardings of shapes that have some."""
    return jax.tree.map(lambda leaf: leaf.sharding, shapes)


def place_whole(values: np.ndarray, sharding: NamedSharding) -> Array:
    """Return an array that every process holds whole, on the devices of `sharding`."""
    return jax.make_array_from_callback(
        values.shape, sharding, lambda index: values[index]
    )


def place_batch(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, Array]:
    """Return the global batch, of which each process passes its own rows."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


def _partition(shape: tuple[int, ...], fsdp: int) -> P:
    """Shard the longest axis that `fsdp` divides, the last one of equal axes."""
    # Arrays that no axis can be cut of, and small ones, are repeated.
    axes = [axis for axis, size in enumerate(shape) if size % fsdp == 0]
    if fsdp == 1 or not axes or np.prod(shape) < LEAST_SHARDED:
        return P()
    longest = max(axes, key=lambda axis: (shape[axis], axis))
    names: list[str | None] = [None] * len(shape)
    names[longest] = "fsdp"
    return P(*names)
