"""Memory that an update needs on each device, known when it is compiled."""

from dataclasses import dataclass, fields
from typing import Any, Self

import jax
import numpy as np
from jax.experimental import multihost_utils

from train.engine.config import SharedError, StageConfig

BYTES_PER_MIB = 2**20
BYTES_PER_GIB = 2**30
SAVINGS = {
    "remat": "--remat blocks",
    "accumulation": "a larger --accumulation",
    "dtype": "--dtype bfloat16",
    "batch_size": "a smaller --batch-size",
    "fsdp": "a larger --fsdp on several devices",
}
"""Options that reduce the memory of an update, the mildest first -> advice."""
EXHAUSTED = {"remat": "blocks", "dtype": "bfloat16"}
"""Values with which an option saves nothing more."""
UNKNOWN = np.iinfo(np.int64).max
"""A limit that no need exceeds, where a platform tells none."""


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes of one device while an update runs.

    Attributes:
      state: arrays that the update reads and writes: state, batch, frozen weights.
      temporary: values between them, such as those that gradients are computed from.
    """

    state: int
    temporary: int

    @classmethod
    def of(cls, compiled: jax.stages.Compiled) -> Self | None:
        """Return the need of a compiled program; None where XLA does not state it."""
        analysis = compiled.memory_analysis()
        if analysis is None:
            return None
        # The next state takes the place of the one before, and counts once.
        results = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
        state = analysis.argument_size_in_bytes + results
        return cls(state, analysis.temp_size_in_bytes)

    @property
    def total(self) -> int:
        return self.state + self.temporary

    def __str__(self) -> str:
        return (
            f"{size_text(self.total)} ({size_text(self.state)} of state and batch, "
            f"{size_text(self.temporary)} in between)"
        )


def describe_memory(need: MemoryNeed, limit: int | None, config: StageConfig) -> str:
    """Return a line that states what an update needs on a device.

    Args:
      need: the update's need.
      limit: bytes that the device lets a program have; None if unknown.
      config: options of the run.

    Raises:
      SharedError: the device has less.
    """
    if limit is None:
        return f"an update needs {need} a device"
    if need.total > limit:
        raise SharedError(
            f"an update needs {need} a device, which lets a program have {size_text(limit)}: choose "
            f"{savings(config)}; on a GPU, XLA_PYTHON_CLIENT_MEM_FRACTION=0.95 in the environment lets it have more"
        )
    return f"an update needs {need} of a device's {size_text(limit)}"


def savings(config: StageConfig) -> str:
    """Return the options by which a run would need less memory, as advice."""
    # Stages differ in their options.
    names = {item.name for item in fields(config)}
    advice: list[str] = []
    for name, text in SAVINGS.items():
        if name in names and getattr(config, name) != EXHAUSTED.get(name):
            advice.append(text)
    return ", or ".join(advice)


def scarcest(need: MemoryNeed, limit: int | None) -> tuple[MemoryNeed, int | None]:
    """Return need and limit of the process that has the least to spare.

    All processes return the same, so that none ends while others wait for it.

    Args:
      need: need of this process.
      limit: bytes that its devices let a program have; None if unknown.
    """
    bound = UNKNOWN if limit is None else limit
    numbers = np.array([need.state, need.temporary, bound], np.int64)
    # As halves: JAX would cut integers to 32 bits.
    halves = multihost_utils.process_allgather(numbers.view(np.int32))
    rows = np.reshape(halves, (-1, 2 * len(numbers))).view(np.int64)
    spare = rows[:, 2] - rows[:, 0] - rows[:, 1]
    state, temporary, least = map(int, rows[np.argmin(spare)])
    return MemoryNeed(state, temporary), None if least == UNKNOWN else least


def memory_limit() -> int | None:
    """Return the bytes that each of this process's devices lets a program have; None
    where their platform does not tell, as a CPU."""
    limits: list[int] = []
    for device in jax.local_devices():
        statistics: dict[str, Any] = device.memory_stats() or {}
        if "bytes_limit" in statistics:
            limits.append(statistics["bytes_limit"])
    return min(limits, default=None)


def size_text(count: int) -> str:
    """Return a number of bytes in words, in MiB where it is less than a GiB."""
    if count < BYTES_PER_GIB:
        return f"{count / BYTES_PER_MIB:.0f} MiB"
    return f"{count / BYTES_PER_GIB:.1f} GiB"
