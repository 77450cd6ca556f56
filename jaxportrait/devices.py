"""Devices that render: their dtypes and precision, their batch, and their mesh."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Shaped

from jaxportrait.ranges import check_choice

T = TypeVar("T")
DType = Literal["auto", "float32", "bfloat16", "float16"]

BY_BACKEND: dict[str, DType] = {"gpu": "float16", "tpu": "bfloat16"}
"""Frames of the golden networks agree with float32's to 54 dB in float16, and to 37 dB
in bfloat16, which is what TPUs have (docs/parity.md)."""

MOTION_DTYPES = {"float32": "float32", "bfloat16": "bfloat16", "float16": "bfloat16"}
"""Dtype of frames -> dtype of drivers; audio encoders are float32 with all of them."""

SMALL_PICTURE = 128
"""Side in pixels up to which a CPU renders four frames at once: it takes 0.85 of the
time a frame by the demo's networks."""


@dataclass(frozen=True)
class Precision:
    """Compute dtypes.

    Attributes:
      frames: dtype of W and G.
      motion: dtype of drivers. Audio encoders stay in float32.
    """

    frames: str
    motion: str

    @property
    def full(self) -> bool:
        """True where products have full float32 factors, which accelerators round by
        default."""
        return self.frames == "float32"

    def products(self) -> AbstractContextManager[object]:
        """Return the context in which programs are traced with these products."""
        return matrix_products(self.full)


def matrix_products(full: bool) -> AbstractContextManager[object]:
    """Return the context in which programs are traced with products of float32 in full
    precision, or in the device's default."""
    return jax.default_matmul_precision("highest") if full else nullcontext()


def choose_precision(dtype: DType) -> Precision:
    """Return the precision that an option asks for.

    Args:
      dtype: "auto" is float16 on a GPU, bfloat16 on a TPU and float32 on a CPU.

    Raises:
      ValueError: there is no such dtype.
    """
    check_choice("dtype", dtype, DType)
    # The fastest dtype whose frames can hardly be told from float32's.
    if dtype == "auto":
        dtype = BY_BACKEND.get(jax.default_backend(), "float32")
    return Precision(dtype, MOTION_DTYPES[dtype])


def default_batch_size(image_size: int) -> int:
    """Return the number of frames at once that keeps a device busy.

    Args:
      image_size: side in pixels of the pictures that the networks read.
    """
    if jax.default_backend() != "cpu":
        return 8
    return 4 if image_size <= SMALL_PICTURE else 1


def make_mesh(devices: int | None) -> Mesh:
    """Return so many of this process's devices, by default all, along the axis `data`.

    JAX's default device is the first of them.

    Raises:
      ValueError: there are fewer.
    """
    available = jax.local_devices()
    first = jax.config.values["jax_default_device"]
    if first in available:
        place = available.index(first)
        available = available[place:] + available[:place]
    if devices is not None and not 1 <= devices <= len(available):
        raise ValueError(f"devices is {devices}: choose from 1 to {len(available)}")
    return Mesh(np.array(available[:devices]), ("data",))


def copy_to_all(values: T, mesh: Mesh) -> T:
    """Return a pytree of which every device has a copy."""
    return jax.device_put(values, NamedSharding(mesh, P()))


def share_rows(
    rows: Shaped[np.ndarray, "n ..."], first: int, count: int, mesh: Mesh
) -> tuple[Array, int]:
    """Return `count` rows from `first` on, shared out to the devices, and how many of
    them are rows; the last one is repeated."""
    chunk = np.asarray(rows[first : first + count])
    # One program serves all chunks, and so they have one length.
    padding = [(0, count - len(chunk))] + [(0, 0)] * (chunk.ndim - 1)
    padded = np.pad(chunk, padding, mode="edge")
    return jax.device_put(padded, NamedSharding(mesh, P("data"))), len(chunk)
