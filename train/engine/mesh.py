"""Devices: the mesh, how a state and a batch are spread over it, and how processes find
each other.

The mesh has axes `data` and `fsdp`. A batch is spread over both; weights and what the
optimizer keeps of them are spread over `fsdp` and repeated over `data`. XLA puts in the
communication.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from train.engine.config import ConfigError

T = TypeVar("T")
SPREAD_FROM = 4096
"""Arrays of fewer values are repeated on every device: spreading them costs more than
it saves."""


def connect(
    coordinator: str | None, processes: int | None, process: int | None
) -> None:
    """Join the other processes of a run, before any device is touched; without a
    coordinator there are none.

    Args:
      coordinator: HOST:PORT of process 0, or "auto" under SLURM, Kubernetes or MPI,
        which know all three.
    """
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
    """Every device of every process, `fsdp` of them side by side."""
    count = jax.device_count()
    if fsdp < 1 or count % fsdp:
        raise ConfigError(
            f"fsdp {fsdp} does not divide the {count} device(s): choose a divisor"
        )
    return Mesh(mesh_utils.create_device_mesh((count // fsdp, fsdp)), ("data", "fsdp"))


def check_batch(batch_size: int, accumulation: int, mesh: Mesh) -> None:
    """Raise a ConfigError unless every device has its equal share of every part of a
    batch."""
    share = accumulation * mesh.size
    if batch_size % share:
        fitting = [
            parts
            for parts in range(1, accumulation)
            if batch_size % (parts * mesh.size) == 0
        ]
        choice = (
            f"accumulation {fitting[-1]}"
            if fitting
            else f"{share * max(1, round(batch_size / share))}"
        )
        raise ConfigError(
            f"batch_size {batch_size} is no multiple of accumulation x devices, {accumulation} x {mesh.size}: "
            f"choose {choice}"
        )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, P(("data", "fsdp")))


def state_shardings(state: Any, mesh: Mesh) -> Any:
    """For every array of a state, by its shape alone, so that weights, averages and
    moments lie alike."""
    return jax.tree.map(
        lambda leaf: NamedSharding(mesh, _partition(leaf.shape, mesh.shape["fsdp"])),
        state,
    )


def spread_shapes(fresh: Callable[[], T], mesh: Mesh) -> T:
    """Shapes, dtypes and shardings of the state that `fresh` makes; nothing is
    computed."""
    shapes = jax.eval_shape(fresh)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=sharding
        ),
        shapes,
        state_shardings(shapes, mesh),
    )


def put(values: np.ndarray, sharding: NamedSharding) -> Array:
    """An array that every process holds whole, spread as `sharding` says."""
    return jax.make_array_from_callback(
        values.shape, sharding, lambda index: values[index]
    )


def place(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, Array]:
    """The global batch, of which each process gives its own rows."""
    sharding = batch_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


def _partition(shape: tuple[int, ...], fsdp: int) -> P:
    """The longest axis that `fsdp` divides is spread, the last of equals."""
    axes = [axis for axis, size in enumerate(shape) if size % fsdp == 0]
    if fsdp == 1 or not axes or np.prod(shape) < SPREAD_FROM:
        return P()
    longest = max(axes, key=lambda axis: (shape[axis], axis))
    return P(*("fsdp" if axis == longest else None for axis in range(len(shape))))
