"""Training of any stage, from its run folder to its last step."""

import math
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from rich.console import Console

from jaxportrait.checkpoint import check_brackets
from jaxportrait.motion.space import MotionStatistics
from jaxportrait.whole import hold_folder
from train.data.batches import Rows
from train.engine.cards import TERA, find_card
from train.engine.checkpoints import Checkpoints
from train.engine.config import ConfigError, LoopConfig, differences, read_saved
from train.engine.journal import Journal
from train.engine.keys import Purpose, root_key
from train.engine.loop import Interruption, Ledger, Reports, Update
from train.engine.memory import MemoryNeed, describe_memory, memory_limit, scarcest
from train.engine.mesh import check_batch, make_mesh
from train.engine.program import MeshProgram
from train.engine.schedule import check_rates
from train.engine.stage import Batches, Description, Stage
from train.engine.state import TrainState
from train.engine.writers import (
    JsonLines,
    TensorBoard,
    WeightsAndBiases,
    Writer,
    check_wandb,
)


@dataclass(frozen=True)
class RunOptions:
    """The folder of a run, and how it starts; see `train.options` for details."""

    work_dir: Path
    resume: str = "auto"
    peak_tflops: float | None = None
    wandb: str | None = None


def train(stage: Stage, options: RunOptions, console: Console) -> int:
    """Train a stage, from the start or from the run folder's checkpoint.

    Returns:
      0 when the last step is done; the number of the signal that came before, with the
      state saved.

    Raises:
      DivergenceError: a loss is not finite; the checkpoints before it are kept.
    """
    config, loop = stage.config, stage.config.loop
    with ExitStack() as stack:
        # Devices, networks, and the run folder: every process checks it before any one
        # writes, so that options which are refused leave nothing.
        mesh = make_mesh(config.fsdp)
        check_batch(config.batch_size, config.microbatches, mesh)
        program = stage.program.on(mesh)
        check_folder(options.resume, options.work_dir)
        if options.wandb is not None:
            check_wandb()
        # Of several processes, the first holds the folder for all.
        if jax.process_index() == 0:
            stack.enter_context(hold_folder(options.work_dir))
        multihost_utils.sync_global_devices("run folder checked")
        checkpoints = Checkpoints(options.work_dir, loop.keep)
        stack.enter_context(closing(checkpoints))

        # Data and state, from the start or from a checkpoint.
        rows = Rows(config.batch_size, jax.process_index(), jax.process_count())
        batches = stack.enter_context(closing(stage.batches(rows)))
        state = begin_or_resume(stage, program, options.resume, checkpoints, batches)
        step = int(state.step)
        checkpoints.check_room(state, states_to_come(loop, step, checkpoints.steps))
        console.print(
            f"{options.work_dir}: from step {step} to {loop.steps} on {mesh.size} device(s){describe_parts(state)}"
        )

        # A run that has ended, and is started again.
        if step >= loop.steps:
            console.print("nothing is left to do; with more steps the run continues")
            return 0

        # The compiled update, and everything that is written.
        update = Update(
            program, root_key(config.seed, Purpose.UPDATES), config.batch_size
        )
        need = MemoryNeed.of(update.compiled)
        if need is not None:
            # Processes decide alike, or those that fit would wait for the others.
            need, limit = scarcest(need, memory_limit())
            console.print(describe_memory(need, limit, config))
        # Operations are counted only where their share of a peak can be told.
        peak = peak_operations(options.peak_tflops, config.dtype)
        journal = Journal(
            open_writers(options, stage.run, step + 1),
            console,
            samples=config.batch_size,
            operations=program.operations(config.batch_size) if peak else 0.0,
            peak=peak,
        )
        stack.enter_context(closing(journal))
        ledger = Ledger(stage.describe, journal)
        reports = Reports(stage, program, rows, batches, checkpoints, journal)

        # Updates, until the last one or until the run is interrupted.
        interruption = stack.enter_context(Interruption())
        while step < loop.steps and not interruption.requested(step):
            with journal.waiting():
                batch = next(batches)
            state, metrics = update(state, batch)
            step += 1
            ledger.enter(step, batch, metrics)
            if reports.due(step):
                ledger.settle()
                reports.write(step, state)
        # The last state is saved, whatever ended the loop.
        ledger.settle()
        if step not in checkpoints.steps:
            reports.save(state)
        checkpoints.wait()
    return interruption.received if step < loop.steps else 0


def describe_parts(state: TrainState) -> str:
    """Return a phrase on how many weights are trained, where some are fixed."""
    if not state.fixed:
        return ""
    trained = sum(leaf.size for leaf in state.params.values())
    fixed = sum(leaf.size for leaf in state.fixed.values())
    return f"; {trained:,} weights are trained, and {fixed:,} stay fixed"


def open_writers(
    options: RunOptions, run: Description, first_step: int
) -> list[Writer]:
    """Open the places that the run is written to, from `first_step` on; only the first
    process writes."""
    if jax.process_index():
        return []
    work_dir = options.work_dir
    writers: list[Writer] = [
        TensorBoard(work_dir, first_step),
        JsonLines(work_dir, first_step),
    ]
    if options.wandb is not None:
        writers.append(WeightsAndBiases(work_dir, options.wandb, run))
    return writers


def states_to_come(loop: LoopConfig, step: int, saved: list[int]) -> int:
    """Return how many more states a run will have on its disk at once."""
    saves = math.ceil((loop.steps - step) / loop.save_every)
    # The last ones, the best by either rank, and the next one before one is deleted.
    most = loop.keep + 3
    return max(0, min(saves, most - len(saved)))


def begin_or_resume(
    stage: Stage,
    program: MeshProgram,
    resume: str,
    checkpoints: Checkpoints,
    batches: Batches,
) -> TrainState:
    """Return the state to continue from, and set `batches` to the batch that follows.

    Raises:
      ConfigError: the run was started with other options or other data.
    """
    step = resume_step(resume, checkpoints.steps)
    # A new run.
    if step is None:
        return program.initial_state(stage.initial)
    # A saved one: state and data continue where they were saved.
    saved = checkpoints.run(step)
    check_unchanged(saved, stage)
    check_rates(read_saved(saved["config"], type(stage.config)), stage.config, step)
    check_statistics(checkpoints.statistics(step), stage)
    state, position = checkpoints.restore(step, program.state)
    checkpoints.resume_from(step)
    batches.set_state(dict(position))
    return state


def peak_operations(tflops: float | None, dtype: str) -> float | None:
    """Return the operations a second of one device: the user's number, or that of the
    table of cards; None if neither is known."""
    if tflops is not None:
        return tflops * TERA
    card = find_card(jax.local_devices()[0].device_kind)
    return None if card is None else card.peak(dtype)


def resume_step(resume: str, steps: list[int]) -> int | None:
    """Return the saved step to resume from; None to begin."""
    if resume.isdecimal():
        return int(resume)
    return steps[-1] if steps and resume == "auto" else None


def check_folder(resume: str, work_dir: Path) -> None:
    """Raise a ConfigError if `--resume` is no choice, or is `never` and the run folder
    holds something."""
    if resume not in ("auto", "never") and not resume.isdecimal():
        raise ConfigError(
            f"--resume {resume}: expected auto, never, or the number of a saved step"
        )
    check_brackets(work_dir)
    if work_dir.exists() and not work_dir.is_dir():
        raise ConfigError(f"{work_dir} is a file: choose a folder for --work-dir")
    if resume == "never" and work_dir.is_dir() and any(work_dir.iterdir()):
        raise ConfigError(
            f"{work_dir} is not empty: choose a new --work-dir, or --resume auto to continue this run"
        )


def check_unchanged(saved: Description, stage: Stage) -> None:
    """Raise a ConfigError that names every difference between a saved run and a
    stage."""
    run = stage.run
    if saved["stage"] != run["stage"]:
        changes = [f"stage: the run has {saved['stage']}, now {run['stage']}"]
    else:
        config = read_saved(saved["config"], type(stage.config))
        changes = differences(config, stage.config)
    # Runs of earlier versions may lack `frozen`.
    for kind, label in (("dataset", "data set"), ("frozen", "weights of")):
        before = saved.get(kind, {})
        for name, value in run.get(kind, {}).items():
            if before.get(name) != value:
                old, new = _brief(before.get(name)), _brief(value)
                changes.append(f"{label} {name}: the run has {old}, now {new}")
    if changes:
        raise ConfigError(
            f"this run was started otherwise: {'; '.join(changes)} "
            "(a new --work-dir starts a new run)"
        )


def _brief(value: Any) -> str:
    """Return a value for a message; of a long list only the start."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:50]}..."


def check_statistics(saved: MotionStatistics | None, stage: Stage) -> None:
    """Raise a ConfigError if a stage normalises its motion otherwise than the saved
    run."""
    statistics = stage.statistics
    if saved is None or statistics is None:
        return
    for name in ("mean", "std"):
        before = np.asarray(getattr(saved, name))
        after = np.asarray(getattr(statistics, name))
        if not np.array_equal(before, after):
            raise ConfigError(
                "this run was started with other statistics of motion (first value's "
                f"{name}: the run has {before[0]:g}, now {after[0]:g}): pass the --init and "
                "--statistics that it was started with (for runs of earlier versions, --statistics data)"
            )
