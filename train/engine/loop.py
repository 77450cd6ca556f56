"""Pieces of the training loop: metrics that are read one update late, reports at
intervals, and interruptions."""

import math
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, PRNGKeyArray

from jaxportrait.console.interrupts import end, receive_signals, tell
from train.data.batches import Rows
from train.engine.checkpoints import Checkpoints, Saved
from train.engine.journal import Journal
from train.engine.program import HostBatch, MeshProgram
from train.engine.stage import Batches, Stage
from train.engine.state import Params, TrainState

Metrics = Mapping[str, Array]

RESUME = "the same command continues from the last checkpoint"
"""Advice after a run has been ended."""


class DivergenceError(ArithmeticError):
    """A loss or gradient that is not finite."""


class Update:
    """A program's compiled update: (state, batch) -> the next state, and metrics.

    The state is consumed.
    """

    def __init__(self, program: MeshProgram, key: PRNGKeyArray, batch_size: int):
        self.compiled = program.lower_update(batch_size).compile()
        self._program = program
        self._key = key

    def __call__(
        self, state: TrainState, batch: HostBatch
    ) -> tuple[TrainState, Metrics]:
        program = self._program
        return self.compiled(*program.frozen, self._key, state, program.place(batch))


@dataclass(frozen=True)
class Dispatched:
    """An update that devices may still compute; reading its metrics waits for it."""

    step: int
    batch: HostBatch
    metrics: Metrics


class Ledger:
    """Metrics of updates, read while the following update runs, so that devices never
    wait for the host.

    Args:
      describe: names the clips of a batch.
      journal: receives the metrics.
    """

    def __init__(self, describe: Callable[[HostBatch], str], journal: Journal):
        self._describe = describe
        self._journal = journal
        self._running: Dispatched | None = None

    def enter(self, step: int, batch: HostBatch, metrics: Metrics) -> None:
        """Enter an update that was dispatched; the one before it is settled."""
        self.settle()
        self._running = Dispatched(step, batch, metrics)

    def settle(self) -> None:
        """Wait for the last update, and note its metrics.

        Raises:
          DivergenceError: its loss or gradient is not finite.
        """
        if self._running is None:
            return
        # Reading a metric waits for the devices.
        update = self._running
        self._running = None
        values = {name: float(value) for name, value in update.metrics.items()}
        loss, norm = values["loss"], values["gradient_norm"]
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise DivergenceError(
                f"step {update.step}: loss {loss}, gradient norm {norm}, on "
                f"{self._describe(update.batch)}; the checkpoints before it are kept: look at "
                "these clips, or resume from an earlier step with a lower learning_rate"
            )
        self._journal.add(values)


class Reports:
    """Scalars, validation, checkpoints and pictures, each at its interval."""

    def __init__(
        self,
        stage: Stage,
        program: MeshProgram,
        rows: Rows,
        batches: Batches,
        checkpoints: Checkpoints,
        journal: Journal,
    ):
        self._stage = stage
        self._program = program
        self._batches = batches
        self._checkpoints = checkpoints
        self._journal = journal
        # Held-out batches stay on the devices.
        self._errors = program.errors()
        self._scores = stage.scores(program.mesh)
        self._plot = stage.plot(program.mesh)
        self._held_out = [program.place(batch) for batch in stage.held_out(rows)]

    def due(self, step: int) -> bool:
        """Return whether anything is due after a step."""
        loop = self._stage.config.loop
        intervals = (loop.log_every, loop.validate_every, loop.plot_every)
        return any(self._due(step, interval) for interval in intervals)

    def write(self, step: int, state: TrainState) -> None:
        """Write all that is due after a step, whose update is known to be finite."""
        loop = self._stage.config.loop
        if self._due(step, loop.log_every):
            self._journal.log(step, loop.steps)
        # Rates of the journal leave out the time of the rest.
        with self._journal.aside():
            if self._due(step, loop.validate_every):
                is_saved = self._due(step, loop.save_every)
                average = self._program.averaged(state)
                metrics = self._validate(average, scored=is_saved)
                if metrics:
                    self._journal.report(step, metrics)
                if is_saved:
                    self.save(state, metrics or None)
            if step % loop.plot_every == 0:
                frozen = self._program.frozen
                average = self._program.averaged(state)
                pictures = self._plot(frozen, average, self._held_out)
                for name, picture in pictures.items():
                    self._journal.show(name, picture, step)

    def save(
        self, state: TrainState, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Start to write a checkpoint of a state."""
        stage = self._stage
        saved = Saved(stage.run, self._batches.get_state(), stage.statistics)
        self._checkpoints.save(state, saved, metrics)

    def _validate(self, average: Params, *, scored: bool) -> dict[str, float]:
        """Return the mean errors of the averaged weights over the held-out batches, and
        scores, which take longer; nothing where no batch is held out."""
        if not self._held_out:
            return {}
        frozen = self._program.frozen
        metrics = {}
        for name, error in self._errors.items():
            values = [error(*frozen, average, batch) for batch in self._held_out]
            metrics[name] = float(np.mean(values))
        if scored:
            metrics |= self._scores(frozen, average)
        return metrics

    def _due(self, step: int, interval: int) -> bool:
        return step == self._stage.config.loop.steps or step % interval == 0


class Interruption:
    """A signal as a question that the loop asks between updates; several processes
    agree on the step.

    A second signal does not wait for the update. With several processes only SIGTERM
    waits, as jax.distributed has it.

    Attributes:
      received: number of the signal that came, 0 for none.
    """

    def __init__(self) -> None:
        self.received = 0
        self._is_told = False

    def __enter__(self) -> Self:
        # With several processes, only the vote of jax.distributed counts.
        self._signals = ExitStack()
        if jax.process_count() == 1:
            self._signals.enter_context(receive_signals(self._receive, self._note))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signals.close()

    def requested(self, step: int) -> bool:
        """Return whether the run is to stop before its next update."""
        is_one_of_several = jax.process_count() > 1
        # jax.distributed has its own handler, and a vote.
        if is_one_of_several and multihost_utils.reached_preemption_sync_point(step):
            self.received = signal.SIGTERM
        return self.received != 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    def _receive(self, number: int) -> None:
        # Another thread, which does not wait for the update.
        if self._is_told:
            end(number, RESUME)
        self._is_told = True
        tell(
            number,
            "the update is finished and saved first; a second signal ends at once",
        )
