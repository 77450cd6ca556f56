"""The loop of any training run: updates, validation, checkpoints and logging, until the
last step or SIGTERM or Ctrl-C.

It knows no network. What is trained is a `Task`; it takes batches, and moves a
`TrainState`.
"""

import math
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, UInt8

from jaxportrait.motion.space import MotionStatistics
from train.engine.checkpoints import Checkpoints, Saved
from train.engine.config import LoopConfig
from train.engine.journal import Journal
from train.engine.state import TrainState

HostBatch = Mapping[str, np.ndarray]
Metrics = Mapping[str, Array]


class DivergenceError(ArithmeticError):
    """A loss or gradient that is not finite."""


class Batches(Protocol):
    """An iterator of batches that knows where it is, as Grain's do."""

    def __next__(self) -> HostBatch: ...
    def get_state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Task:
    """What is trained, as the loop sees it.

    Attributes:
      update: a state, which it consumes, and a batch -> the next state, and metrics,
        `loss` and `gradient_norm` among them.
      validate: the loss of a state on held-out data; None where there is none.
      plot: pictures of what a state makes, by name.
      describe: what a batch is made of, for messages.
      run: what the run is, stored with every checkpoint.
      statistics: of the motion space, stored as well.
    """

    update: Callable[[TrainState, HostBatch], tuple[TrainState, Metrics]]
    validate: Callable[[TrainState], float | None]
    plot: Callable[[TrainState], Mapping[str, UInt8[np.ndarray, "h w 3"]]]
    describe: Callable[[HostBatch], str]
    run: Mapping[str, Any]
    statistics: MotionStatistics | None = None


@dataclass(frozen=True)
class Update:
    """An update that has been dispatched; reading its metrics waits for it."""

    step: int
    batch: HostBatch
    metrics: Metrics


@dataclass(frozen=True)
class Loop:
    """A task, and all that its training reads and writes."""

    task: Task
    batches: Batches
    checkpoints: Checkpoints
    journal: Journal
    config: LoopConfig

    def run(self, state: TrainState) -> tuple[TrainState, bool]:
        """Train to the last step, or until SIGTERM or Ctrl-C; in any case the state is
        saved.

        Returns:
          The state, and whether the last step is done.

        Raises:
          KeyboardInterrupt: Ctrl-C came, and the state is saved; or it came twice, and
            it is not.
          DivergenceError: with the step and the clips of its batch; the checkpoints
            before it are kept.
        """
        step, running = int(state.step), None
        with Interruption() as interruption:
            while step < self.config.steps and not interruption.requested(step):
                with self.journal.waiting():
                    batch = next(self.batches)
                state, metrics = self.task.update(state, batch)
                if running is not None:  # the one before is read while this one runs
                    settle(running, self.task, self.journal)
                step, running = step + 1, Update(step + 1, batch, metrics)
                if self._reports(step):
                    settle(running, self.task, self.journal)
                    running = None
                    self._report(step, state)
            if running is not None:
                settle(running, self.task, self.journal)
            if step not in self.checkpoints.steps:
                self._save(state)
            self.checkpoints.wait()
        if interruption.received == signal.SIGINT and step < self.config.steps:
            raise KeyboardInterrupt
        return state, step >= self.config.steps

    def _reports(self, step: int) -> bool:
        config = self.config
        return any(
            self._due(step, every)
            for every in (config.log_every, config.validate_every, config.plot_every)
        )

    def _report(self, step: int, state: TrainState) -> None:
        """What is due after a step, whose update is known to be finite."""
        if self._due(step, self.config.log_every):
            self.journal.log(step, self.config.steps)
        with self.journal.aside():
            if self._due(step, self.config.validate_every):
                loss = self.task.validate(state)
                if loss is not None:
                    self.journal.scalar("validation_loss", loss, step)
                if self._due(step, self.config.save_every):
                    self._save(state, loss)
            if step % self.config.plot_every == 0:
                for name, picture in self.task.plot(state).items():
                    self.journal.image(name, picture, step)

    def _save(self, state: TrainState, validation_loss: float | None = None) -> None:
        saved = Saved(self.task.run, self.batches.get_state(), self.task.statistics)
        self.checkpoints.save(state, saved, validation_loss)

    def _due(self, step: int, every: int) -> bool:
        return step == self.config.steps or step % every == 0


def settle(update: Update, task: Task, journal: Journal) -> None:
    """Wait for an update, and note its metrics; raise a DivergenceError if they are not
    finite."""
    values = {name: float(value) for name, value in update.metrics.items()}
    if not (math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"])):
        raise DivergenceError(
            f"step {update.step}: loss {values['loss']}, gradient norm {values['gradient_norm']}, on "
            f"{task.describe(update.batch)}; the checkpoints before it are kept: look at these clips, or resume with a "
            "lower learning rate in a new run folder"
        )
    journal.add(values)


class Interruption:
    """SIGTERM or Ctrl-C as a question that the loop asks between updates; several
    processes agree on the step.

    A second Ctrl-C does not wait for the update, nor does one where there are several
    processes.

    Attributes:
      received: the signal that came, 0 for none.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> Self:
        self._before = {}
        if jax.process_count() == 1:
            heard = [
                number
                for number in self.SIGNALS
                if signal.getsignal(number) != signal.SIG_IGN
            ]
            self._before = {
                number: signal.signal(number, self._receive) for number in heard
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def requested(self, step: int) -> bool:
        if jax.process_count() > 1:  # jax.distributed has its own handler, and a vote
            return multihost_utils.reached_preemption_sync_point(step)
        return self.received != 0

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == self.received == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
