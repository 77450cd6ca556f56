"""A run from its folder: where it goes on, what it may not change, and the training of
any stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from rich.console import Console

from train.data.batches import Rows
from train.engine.checkpoints import Checkpoints
from train.engine.config import ConfigError, StageConfig, differences
from train.engine.journal import Journal, measure_peak
from train.engine.loop import Batches, Loop, Task
from train.engine.mesh import check_batch, make_mesh
from train.engine.program import Program
from train.engine.state import TrainState

Run = Mapping[str, Any]
"""What a run is, as JSON keeps it: `stage`, `config`, `dataset`, and what
`train.export` needs.

`frozen` names the weights that an update reads and leaves alone, if there are any: part
-> identity.
"""


@dataclass(frozen=True)
class RunOptions:
    """Where a run reads and writes, and how it starts; `train.__main__` says more of
    each."""

    dataset_path: Path
    checkpoint: Path | None
    work_dir: Path
    resume: str = "auto"
    init: Path | None = None
    peak_tflops: float | None = None
    perceptual: Path | None = None


class Stage(Protocol):
    """What is trained, as a run sees it: the flow transformer, the renderer, or the
    stitching networks."""

    @property
    def config(self) -> StageConfig: ...

    @property
    def run(self) -> Run: ...

    @property
    def program(self) -> Program: ...

    @property
    def initial(self) -> Mapping[str, np.ndarray]:
        """Weights and batch statistics to start from, by dotted path; what is not among
        them starts fresh."""
        ...

    def batches(self, rows: Rows) -> Batches:
        """An endless iterator over training batches."""
        ...

    def task(self, update: jax.stages.Compiled, rows: Rows, mesh: Mesh) -> Task:
        """What the loop needs."""
        ...


def train_stage(stage: Stage, options: RunOptions, console: Console) -> bool:
    """Train, from the start or from the run folder's checkpoint.

    Returns:
      Whether the last step is done; otherwise SIGTERM came, and the state is saved.
    """
    config = stage.config
    mesh = make_mesh(config.fsdp)
    check_batch(config.batch_size, config.parts, mesh)
    check_folder(options.resume, options.work_dir)
    multihost_utils.sync_global_devices(
        "run folder checked"
    )  # before any process writes to it
    checkpoints = Checkpoints(options.work_dir, config.loop.keep)
    try:
        rows = Rows(config.batch_size, jax.process_index(), jax.process_count())
        batches = stage.batches(rows)
        state = begin_or_resume(stage, options.resume, mesh, checkpoints, batches)
        console.print(
            f"{options.work_dir}: from step {int(state.step)} to {config.loop.steps} on {mesh.size} device(s)"
        )
        update = stage.program.lower_update(config.batch_size, mesh).compile()
        journal = Journal(
            options.work_dir,
            console,
            first_step=int(state.step) + 1,
            samples=config.batch_size,
            flops=flops(update, config.parts),
            peak=options.peak_tflops * 1e12
            if options.peak_tflops
            else measure_peak(config.dtype),
        )
        try:
            loop = Loop(
                stage.task(update, rows, mesh),
                batches,
                checkpoints,
                journal,
                config.loop,
            )
            _, finished = loop.run(state)
        finally:
            journal.close()
    finally:
        checkpoints.close()
    return finished


def begin_or_resume(
    stage: Stage, resume: str, mesh: Mesh, checkpoints: Checkpoints, batches: Batches
) -> TrainState:
    """The state to go on from, with `batches` set to the one that comes next."""
    at = resume_step(resume, checkpoints.steps)
    if at is None:
        return stage.program.initial_state(mesh, stage.initial)
    check_unchanged(checkpoints.run(at), stage)
    state, data = checkpoints.restore(at, stage.program.abstract_state(mesh))
    checkpoints.go_on_from(at)
    batches.set_state(dict(data))
    return state


def flops(update: jax.stages.Compiled, parts: int) -> float:
    """Floating-point operations of one device in an update; 0 where XLA does not
    say."""
    analysis = update.cost_analysis() or {}
    unrolled = parts == 1 or jax.default_backend() == "cpu"
    return analysis.get("flops", 0.0) * (
        1 if unrolled else parts
    )  # XLA counts the body of a loop once


def resume_step(resume: str, steps: list[int]) -> int | None:
    """The step to go on from, of those saved; None to begin."""
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
    if work_dir.exists() and not work_dir.is_dir():
        raise ConfigError(f"{work_dir} is a file: choose a folder for --work-dir")
    if resume == "never" and work_dir.is_dir() and any(work_dir.iterdir()):
        raise ConfigError(
            f"{work_dir} is not empty: choose a new --work-dir, or --resume auto to go on with this run"
        )


def check_unchanged(saved: Run, stage: Stage) -> None:
    """Raise a ConfigError that shows how a run differs from what it was when it
    saved."""
    changes = differences(saved["config"], stage.config)
    if saved["stage"] != stage.run["stage"]:
        changes = [f"stage: the run has {saved['stage']}, now {stage.run['stage']}"]
    changes += [
        f"{said} {name}: the run has {saved.get(kind, {}).get(name)}, now {value}"
        for kind, said in (("dataset", "data set"), ("frozen", "weights of"))
        for name, value in stage.run.get(kind, {}).items()
        if saved.get(kind, {}).get(name) != value
    ]
    if changes:
        raise ConfigError(
            "this run was started otherwise: "
            + "; ".join(changes)
            + " (a new --work-dir starts a new run)"
        )
