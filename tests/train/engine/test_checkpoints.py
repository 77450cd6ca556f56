"""A run's checkpoints: steps that are deleted, and export, which only reads them."""

import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.checkpoint import (
    CheckpointError,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import MotionStatistics
from tests.train.engine.toy import ToyStage, run_toy, saved_steps, toy_stage
from tests.train.runs import make_checkpoint
from tests.train.videos import draw_leaves
from train.engine.checkpoints import Checkpoints, Saved
from train.engine.config import OptimizerConfig
from train.engine.mesh import make_mesh
from train.engine.state import begin
from train.engine.trainable import split
from train.export.write import Options, export

TINY = FlowTransformerConfig(18, 8, 16, 2, 1, 1)


@pytest.fixture
def run(tmp_path: Path, optax_promotion) -> Path:
    """The folder of a run of no updates that was killed: a step is half written."""
    params = {name: jnp.asarray(leaf) for name, leaf in draw_leaves(TINY).items()}
    content = {
        "stage": "flow",
        "config": {"export_weights": "raw", "motion_space": "lip"},
        "trained": {"flow_transformer": asdict(TINY)},
        "checkpoint": str(make_checkpoint(tmp_path / "base")),
    }
    statistics = MotionStatistics(np.zeros(18, np.float32), np.ones(18, np.float32))
    checkpoints = Checkpoints(tmp_path / "run", keep=1)
    checkpoints.save(begin(params, OptimizerConfig()), Saved(content, {}, statistics))
    checkpoints.close()
    (tmp_path / "run" / "checkpoints" / "1.orbax-checkpoint-tmp").mkdir()
    return tmp_path / "run"


def test_a_run_that_kept_fixed_weights_otherwise_is_told_apart(run: Path):
    checkpoints = Checkpoints(run)
    params = {name: jnp.asarray(leaf) for name, leaf in draw_leaves(TINY).items()}
    # Earlier versions saved fixed weights among the others.
    trained, fixed = split(params, ("audio_stem",))
    try:
        checkpoints.restore(0, begin(params, OptimizerConfig()))
        with pytest.raises(CheckpointError, match="earlier version, which kept fixed"):
            checkpoints.restore(0, begin(trained, OptimizerConfig(), fixed=fixed))
    finally:
        checkpoints.close()


def files_of(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
    }


def test_export_says_one_line_and_leaves_the_run_as_it_is(run: Path, tmp_path: Path):
    # Times of change are compared, too.
    before = files_of(run)
    command = [
        sys.executable,
        "-m",
        "train.export",
        "--work-dir",
        run,
        "--output",
        tmp_path / "exported",
    ]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert (
        done.stdout == f"{tmp_path / 'exported'}: raw weights of step 0, with whisper\n"
    )
    assert files_of(run) == before


def test_export_copies_the_files_of_the_checkpoint(run: Path, tmp_path: Path):
    base = open_checkpoint(tmp_path / "base")
    (tmp_path / "graph.onnx").write_bytes(b"graph")
    save_checkpoint(
        tmp_path / "with files",
        base.contents,
        {"whisper": base.leaves("whisper")},
        files={"graph.onnx": tmp_path / "graph.onnx"},
    )
    output = tmp_path / "exported"
    export(Options(run, output, checkpoint=tmp_path / "with files"))
    assert open_checkpoint(output).files["graph.onnx"].read_bytes() == b"graph"


def test_abandoned_steps_are_deleted_by_the_next_save(tmp_path: Path, optax_promotion):
    run_toy(tmp_path, toy_stage(steps=6, keep=3))
    checkpoints = Checkpoints(tmp_path, keep=3)
    checkpoints.resume_from(2)
    assert checkpoints.steps == [2]
    # Another process still finds them if this one is lost before it saves.
    assert saved_steps(tmp_path) == [2, 4, 6]
    state, data = checkpoints.restore(2, ToyStage().program.on(make_mesh(1)).state)
    checkpoints.save(replace(state, step=state.step + 1), Saved({}, data))
    checkpoints.wait()
    assert checkpoints.steps == [2, 3]
    checkpoints.close()
