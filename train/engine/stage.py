"""The contract between a stage and the engine, which trains it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, UInt8

from jaxportrait.motion.space import MotionStatistics
from train.data.batches import Rows
from train.engine.config import StageConfig
from train.engine.program import Frozen, HostBatch, Program
from train.engine.state import Params
from train.engine.writers import Film

Description = Mapping[str, Any]
"""Identity of a run as JSON keeps it: `stage`, `config`, `dataset`, and what
`train.export` needs.

`frozen`, where it is present, maps parts whose weights an update only reads to their
identities.
"""
HeldOut = Sequence[Mapping[str, Array]]
"""Batches of the validation split, on the mesh."""
Pictures = Mapping[str, UInt8[np.ndarray, "h w 3"] | Film]
"""RGB pictures and films by name."""
Scores = Callable[[Frozen, Params], Mapping[str, float]]
"""(frozen, average) -> scores of the averaged networks' output on held-out clips.

`checkpoints.SCORE`, where it is among them, says which checkpoint is best.
"""
Plot = Callable[[Frozen, Params, HeldOut], Pictures]
"""(frozen, average, held-out batches) -> pictures of the averaged networks' output."""


def no_scores(frozen: Frozen, average: Params) -> Mapping[str, float]:
    """Return nothing, for stages whose loss ranks their checkpoints."""
    return {}


# Those of `train.data.batches` and the toy batches of tests.
class Batches(Protocol):
    """An iterator of batches that knows its position."""

    def __next__(self) -> HostBatch: ...
    def get_state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


# A stage is a frozen dataclass in its folder's `stage.py`.
class Stage(Protocol):
    """Networks that are trained together, on batches of a data set."""

    @property
    def config(self) -> StageConfig:
        """Options of the run."""
        ...

    @property
    def run(self) -> Description:
        """Identity of the run, stored with every checkpoint."""
        ...

    @property
    def program(self) -> Program:
        """Pure functions of the networks."""
        ...

    @property
    def initial(self) -> Mapping[str, np.ndarray]:
        """Weights and batch statistics to start from, by dotted path; the others are
        drawn."""
        ...

    @property
    def statistics(self) -> MotionStatistics | None:
        """Mean and deviation of the motion space, stored with every checkpoint."""
        ...

    def batches(self, rows: Rows) -> Batches:
        """Return an endless iterator over training batches."""
        ...

    def held_out(self, rows: Rows) -> Sequence[HostBatch]:
        """Return the batches of the validation loss; empty where there are none."""
        ...

    def scores(self, mesh: Mesh) -> Scores:
        """Return the function that scores the networks' output; it returns nothing
        where the loss says enough."""
        ...

    def plot(self, mesh: Mesh) -> Plot:
        """Return the function that draws the networks' output."""
        ...

    def describe(self, batch: HostBatch) -> str:
        """Return the clips of a batch, for messages."""
        ...
