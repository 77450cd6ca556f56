"""A run's checkpoints as `train.export` reads them."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.motion.space import MotionStatistics
from tests.train.videos import draw_leaves
from train.engine.checkpoints import Checkpoints, Saved
from train.engine.config import OptimizerConfig
from train.engine.state import begin

TINY = FlowTransformerConfig(18, 8, 16, 2, 1, 1)


@pytest.fixture
def run(tmp_path: Path, optax_promotion) -> Path:
    """The folder of a run of no updates, as a run that was killed leaves it: a step is
    half written."""
    params = {name: jnp.asarray(leaf) for name, leaf in draw_leaves(TINY).items()}
    content = {
        "config": {"export_weights": "raw"},
        "trained": {"flow_transformer": asdict(TINY)},
        "checkpoint": None,
    }
    statistics = MotionStatistics(np.zeros(18, np.float32), np.ones(18, np.float32))
    checkpoints = Checkpoints(tmp_path / "run", keep=1)
    checkpoints.save(begin(params, OptimizerConfig()), Saved(content, {}, statistics))
    checkpoints.close()
    (tmp_path / "run" / "checkpoints" / "1.orbax-checkpoint-tmp").mkdir()
    return tmp_path / "run"


def files_of(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
    }


def test_export_says_one_line_and_leaves_the_run_as_it_is(run: Path, tmp_path: Path):
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
        done.stdout
        == f"{tmp_path / 'exported'}: raw weights of step 0, with nothing else\n"
    )
    assert files_of(run) == before
