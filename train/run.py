"""A run of the flow transformer from its folder: what it is, where it goes on, and everything that it needs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.models.config import FlowTransformerConfig
from train.checkpoints import Checkpoints
from train.config import ConfigError, TrainConfig, apply, differences
from train.data import Rows, batches
from train.logging import Journal, measure_peak
from train.loop import Batches, train
from train.mesh import check_batch, make_mesh
from train.records import Dataset, network_identity, open_dataset
from train.state import TrainState
from train.step import StepConfig
from train.task import abstract_state, compile_update, flops, flow_task, initial_state, step_config

Run = Mapping[str, Any]
"""What a run is, as JSON keeps it: `config`, `transformer`, `dataset`, and the `checkpoint` of the frozen parts."""


@dataclass(frozen=True)
class RunOptions:
    """Where a run reads and writes, and how it starts; `train.__main__` says more of each."""

    dataset_path: Path
    checkpoint: Path
    work_dir: Path
    resume: str = "auto"
    init: Path | None = None
    peak_tflops: float | None = None


def train_transformer(options: RunOptions, config: TrainConfig, console: Console) -> bool:
    """Train a flow transformer, from the start or from the run folder's checkpoint.

    Returns:
      Whether the last step is done; otherwise SIGTERM came, and the state is saved.
    """
    dataset, frozen = open_dataset(options.dataset_path), open_checkpoint(options.checkpoint)
    check_encoder(frozen, dataset)
    space = config.motion_space or dataset.motion_space
    config = apply(config, {"motion_space": space}, str(dataset.path))
    transformer = config.transformer.config(space, dataset.feature_width)
    step, run = step_config(config, transformer), describe_run(config, transformer, dataset, frozen)
    mesh = make_mesh(config.fsdp)
    check_batch(config.batch_size, config.accumulation, mesh)
    check_folder(options.resume, options.work_dir)
    checkpoints = Checkpoints(options.work_dir, config.loop.keep)
    try:
        rows = Rows(config.batch_size, jax.process_index(), jax.process_count())
        iterator = batches(dataset, transformer.motion_space, config.seed, rows)
        state = begin_or_resume(options, config, step, mesh, checkpoints, run, iterator)
        console.print(
            f"{options.work_dir}: from step {int(state.step)} to {config.loop.steps} on {mesh.size} device(s)"
        )
        update = compile_update(step, mesh, config.batch_size)
        journal = Journal(
            options.work_dir,
            console,
            samples=config.batch_size,
            flops=flops(update, config.accumulation),
            peak=options.peak_tflops * 1e12 if options.peak_tflops else measure_peak(config.dtype),
        )
        task = flow_task(config, step, update, dataset, rows, mesh, run)
        _, finished = train(task, state, iterator, checkpoints, journal, config.loop)
        journal.close()
    finally:
        checkpoints.close()
    return finished


def begin_or_resume(
    options: RunOptions,
    config: TrainConfig,
    step: StepConfig,
    mesh: Mesh,
    checkpoints: Checkpoints,
    run: Run,
    iterator: Batches,
) -> TrainState:
    """The state to go on from, with the iterator set to the batch that comes next."""
    at = resume_step(options.resume, checkpoints.steps)
    if at is None:
        params = None if options.init is None else initial_weights(options.init, step.transformer)
        return initial_state(step, mesh, config.seed, params)
    check_unchanged(checkpoints.run(at), config, run)
    state, data = checkpoints.restore(at, abstract_state(step, mesh))
    checkpoints.drop_after(at)
    iterator.set_state(dict(data))
    return state


def resume_step(resume: str, steps: list[int]) -> int | None:
    """The step to go on from, of those saved; None to begin."""
    if resume.isdecimal():
        return int(resume)
    return steps[-1] if steps and resume == "auto" else None


def check_folder(resume: str, work_dir: Path) -> None:
    """Raise a ConfigError if `--resume` is no choice, or is `never` and the run folder holds something."""
    if resume not in ("auto", "never") and not resume.isdecimal():
        raise ConfigError(f"--resume {resume}: expected auto, never, or the number of a saved step")
    if work_dir.exists() and not work_dir.is_dir():
        raise ConfigError(f"{work_dir} is a file: choose a folder for --work-dir")
    if resume == "never" and work_dir.is_dir() and any(work_dir.iterdir()):
        raise ConfigError(f"{work_dir} is not empty: choose a new --work-dir, or --resume auto to go on with this run")


def check_unchanged(saved: Run, config: TrainConfig, run: Run) -> None:
    """Raise a ConfigError that shows how a run differs from what it was when it saved."""
    changes = differences(saved["config"], config)
    changes += [
        f"data set {name}: the run has {saved['dataset'].get(name)}, now {value}"
        for name, value in run["dataset"].items()
        if saved["dataset"].get(name) != value
    ]
    if changes:
        raise ConfigError(
            "this run was started otherwise: " + "; ".join(changes) + " (a new --work-dir starts a new run)"
        )


def check_encoder(frozen: Checkpoint, dataset: Dataset) -> None:
    """Raise a ConfigError unless the data set's features were made by the audio encoder that will be exported."""
    identity = network_identity(frozen, "whisper")
    if identity != dataset.audio_encoder:
        raise ConfigError(
            f"the features of {dataset.path} were made by audio encoder {dataset.audio_encoder}, and {frozen.path} "
            f"holds {identity}: pass the checkpoint that the videos were processed with"
        )


def describe_run(
    config: TrainConfig, transformer: FlowTransformerConfig, dataset: Dataset, frozen: Checkpoint
) -> dict[str, Any]:
    """What a run is; `check_unchanged` compares its config and its data set."""
    sizes = {split: asdict(size) for split, size in dataset.sizes.items()}
    content = {
        "config": asdict(config),
        "transformer": asdict(transformer),
        "dataset": {"audio_encoder": dataset.audio_encoder, "sizes": sizes, "mean": dataset.mean.tolist()},
        "checkpoint": str(frozen.path),
    }
    return json.loads(json.dumps(content))


def initial_weights(path: Path, transformer: FlowTransformerConfig) -> dict[str, np.ndarray]:
    """The flow transformer of the checkpoint at `path`, which must be of the size that is trained."""
    checkpoint = open_checkpoint(path)
    checkpoint.require(["flow_transformer"])
    if checkpoint.config.flow_transformer != transformer:
        raise ConfigError(
            f"{path} holds {checkpoint.config.flow_transformer}, and this run trains {transformer}: "
            "choose the options that agree with it"
        )
    return checkpoint.leaves("flow_transformer")
