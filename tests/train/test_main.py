"""Training of the flow transformer as a user runs it: killed, resumed and exported."""

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from jaxportrait.checkpoint import CheckpointError, open_checkpoint
from tests.train.runs import World, weights_of
from train.export.write import Options, export

STEPS = "40"
OFTEN = [
    "--log-every",
    "1",
    "--validate-every",
    "5",
    "--save-every",
    "5",
    "--batch-size",
    "4",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("loop"))


@pytest.fixture(scope="module")
def whole(world: World) -> Path:
    """A run that nothing interrupted, with a plot."""
    command = world.arguments("whole", "--steps", STEPS, "--plot-every", "40", *OFTEN)
    status, out, err = world.finish(command)
    assert status == 0, err
    assert "step 40/40  loss " in out
    return world.root / "whole"


def interrupt(world: World, run: str, kills: int) -> None:
    """Start a run and kill it, at random moments after random steps, so many times;
    then let it finish."""
    # The seed makes a failure repeatable.
    chance = random.Random(0)
    command = world.arguments(run, "--steps", STEPS, "--plot-every", "40", *OFTEN)
    for _ in range(kills):
        process = world.start(command)
        assert process.stdout is not None
        # A line an update; then a part of one.
        for _ in range(chance.randint(1, 12)):
            process.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    status, _, err = world.finish(command)
    assert status == 0, err


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.full)])
def test_a_killed_run_ends_as_one_that_was_not(world: World, whole: Path, kills: int):
    interrupt(world, f"killed{kills}", kills)
    for kind in ("raw", "ema"):
        weights, _ = weights_of(world.root / f"killed{kills}", kind)
        expected, _ = weights_of(whole, kind)
        assert weights.keys() == expected.keys()
        for name, leaf in expected.items():
            np.testing.assert_array_equal(weights[name], leaf, err_msg=name)


@pytest.mark.parametrize("kind", ["raw", "ema"])
def test_a_run_becomes_a_checkpoint_that_inference_opens(
    world: World, whole: Path, tmp_path: Path, kind: str
):
    output, rest = tmp_path / kind, world.root / "base"
    # Raw and averaged weights differ, so the kind shows.
    line = export(Options(whole, output, weights=kind, checkpoint=rest))
    assert line.startswith(f"{output}: {kind} weights of step 40, with whisper")
    checkpoint = open_checkpoint(output)
    weights, statistics = weights_of(whole, kind)
    assert list(checkpoint.parts) == ["whisper", "flow_transformer"]
    for name, leaf in checkpoint.leaves("flow_transformer").items():
        np.testing.assert_array_equal(leaf, weights[name])
    std = checkpoint.driver().statistics.std
    np.testing.assert_array_equal(std, statistics.std)


@pytest.mark.parametrize("rank", ["best", "best-loss"])
def test_a_rank_chooses_the_step(whole: Path, tmp_path: Path, rank):
    lines = (whole / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    scored = [row for row in rows if "lip_correlation" in row]
    best = max(scored, key=lambda row: row["lip_correlation"])
    if rank == "best-loss":
        best = min(scored, key=lambda row: row["validation_loss"])
    line = export(Options(whole, tmp_path / rank, step=rank))
    assert f"weights of step {best['step']}, with" in line


def test_a_run_or_step_that_is_missing_is_named(whole: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="no run at"):
        export(Options(tmp_path / "nothing", tmp_path / "out"))
    with pytest.raises(CheckpointError, match="holds no checkpoint of step 7"):
        export(Options(whole, tmp_path / "out", step="7"))


def test_a_changed_option_is_an_error_of_one_line(world: World, whole: Path):
    status, _, err = world.finish(
        world.arguments("whole", "--steps", "50", "--seed", "5", *OFTEN)
    )
    assert status == 2
    assert [line for line in err.splitlines() if "seed: the run has 0, now 5" in line]
    assert "Traceback" not in err
