"""Training from the run folder to the last step, of a stage of one weight."""

import json
import os
import signal
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import chex
import jax
import numpy as np
import pytest
from rich.console import Console

from jaxportrait.checkpoint import CheckpointError
from tests.train.engine.toy import (
    CONFIG,
    OPTIMIZER,
    ToyStage,
    draw_figure,
    follow,
    fresh,
    run_toy,
    saved_state,
    saved_steps,
    toy_stage,
)
from train.data.batches import Rows
from train.engine.checkpoints import SCORE, Checkpoints, read_last_run
from train.engine.config import ConfigError, LoopConfig
from train.engine.loop import DivergenceError
from train.engine.program import HostBatch
from train.engine.run import (
    RunOptions,
    check_folder,
    check_unchanged,
    resume_step,
    states_to_come,
    train,
)
from train.engine.state import Params, TrainState, begin
from train.engine.toml import apply
from train.flow.config import FlowConfig
from train.renderer.config import RendererConfig

pytestmark = pytest.mark.usefixtures("optax_promotion")
SAVED_RUNS = json.loads(Path(__file__).with_name("saved_runs.json").read_text())
"""Identities of runs, and the keys of an optimizer's state, as the first layout of
checkpoints has them."""


def state_after(steps: int) -> TrainState:
    """Return the state after so many updates without a run."""
    state = begin(fresh()[0], OPTIMIZER)
    step = jax.jit(partial(follow, OPTIMIZER))
    for count in range(1, steps + 1):
        state, _ = step(None, state, {"target": np.float32([count])})
    return state


def test_the_last_and_the_best_checkpoints_are_kept(tmp_path: Path):
    best = float(state_after(4).average["w"][0])
    stage = toy_stage(best=best, steps=10)
    assert run_toy(tmp_path, stage) == 0
    assert saved_steps(tmp_path) == [4, 8, 10]
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.run(4) == stage.run
    checkpoints.close()
    # The command line reads it without Orbax.
    assert read_last_run(tmp_path) == stage.run
    assert read_last_run(tmp_path / "tensorboard") is None
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_the_best_checkpoint_has_the_best_lips_and_not_the_least_loss(tmp_path: Path):
    # The loss is least after step 4, and the score after step 2.
    best = float(state_after(4).average["w"][0])
    lips = float(state_after(2).average["w"][0])

    def score(average: Params) -> dict[str, float]:
        return {SCORE: -abs(float(average["w"][0]) - lips)}

    stage = replace(toy_stage(best=best, steps=10), score=score)
    assert run_toy(tmp_path, stage) == 0
    assert saved_steps(tmp_path) == [2, 4, 8, 10]
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.best("best") == 2
    assert checkpoints.best("best-loss") == 4
    checkpoints.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows if SCORE in row] == [2, 4, 6, 8, 10]


def test_without_scores_the_least_loss_is_best(tmp_path: Path):
    best = float(state_after(4).average["w"][0])
    run_toy(tmp_path, toy_stage(best=best, steps=10))
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.best("best") == 4
    checkpoints.close()


def test_a_run_without_held_out_clips_has_no_best(tmp_path: Path):
    class DeafStage(ToyStage):
        def held_out(self, rows: Rows) -> list[HostBatch]:
            return []

    run_toy(tmp_path, DeafStage())
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match="was validated: name one of"):
        checkpoints.best("best")
    checkpoints.close()


@pytest.mark.parametrize(
    ("step", "saved", "states"),
    # Six at most: the last three, the best by two ranks, and the next one.
    [(0, 0, 6), (500, 5, 1), (900, 5, 1), (980, 5, 1), (1000, 5, 0), (980, 0, 1)],
)
def test_a_run_needs_room_for_the_states_that_it_keeps_at_once(step, saved, states):
    loop = LoopConfig(1000, validate_every=100, save_every=100, keep=3)
    assert states_to_come(loop, step, list(range(saved))) == states


def test_two_parts_are_one_whole(tmp_path: Path):
    assert run_toy(tmp_path, toy_stage(steps=4)) == 0
    assert run_toy(tmp_path, toy_stage(steps=6)) == 0
    # Equal bits, the optimizer's state among them.
    chex.assert_trees_all_equal(saved_state(tmp_path), state_after(6))


def test_a_run_returns_to_a_step(tmp_path: Path):
    run_toy(tmp_path, toy_stage(steps=6, keep=3))
    assert saved_steps(tmp_path) == [2, 4, 6]
    # Later steps are deleted by the next save.
    run_toy(tmp_path, toy_stage(steps=3, keep=3), resume="2")
    assert saved_steps(tmp_path) == [2, 3]
    chex.assert_trees_all_equal(saved_state(tmp_path), state_after(3))


def test_networks_are_traced_once(tmp_path: Path):
    traces = []

    class CountingStage(ToyStage):
        @property
        def program(self):
            def counted_fresh():
                traces.append(1)
                return fresh()

            return replace(super().program, fresh=counted_fresh)

    assert run_toy(tmp_path, CountingStage()) == 0
    assert len(traces) == 1
    run_toy(tmp_path, CountingStage(), resume="4")
    assert len(traces) == 2


def send(number: int, count: int):
    """Return a batch's number that sends a signal on the way."""

    def surprise(batch_count: int) -> float:
        if batch_count == count:
            os.kill(os.getpid(), number)
        return 1.0

    return surprise


def test_options_that_are_refused_leave_no_folder(tmp_path: Path):
    config = replace(CONFIG, optimizer=replace(OPTIMIZER, hold=("nosuch",)))
    with pytest.raises(ConfigError, match="hold names nosuch, which matches no param"):
        run_toy(tmp_path / "run", ToyStage(config), "never")
    assert list(tmp_path.iterdir()) == []
    run_toy(tmp_path / "run", toy_stage(steps=1), "never")


def test_a_folder_whose_arrays_would_be_lost_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"has a bracket \[: choose another name"):
        run_toy(tmp_path / "a [b]", toy_stage(steps=1))
    assert list(tmp_path.iterdir()) == []
    # Every other character keeps them.
    folder = tmp_path / "ä ö {a}*?#%]"
    run_toy(folder, toy_stage(steps=1))
    assert saved_state(folder).params["w"].shape == (1,)


def test_a_run_that_has_ended_says_so(tmp_path: Path):
    run_toy(tmp_path, toy_stage(steps=2))
    text = StringIO()
    console = Console(file=text, soft_wrap=True)
    assert train(toy_stage(steps=2), RunOptions(tmp_path), console) == 0
    assert text.getvalue().endswith(
        "nothing is left to do; with more steps the run continues\n"
    )
    run_toy(tmp_path, toy_stage(steps=3))
    assert saved_steps(tmp_path)[-1] == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_saves_and_stops(tmp_path: Path, number: int, capfd):
    # A program in the background ignores Ctrl-C.
    before = signal.signal(number, signal.default_int_handler)
    try:
        assert run_toy(tmp_path, toy_stage(send(number, 3))) == number
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    # The update during which the signal comes is the last.
    assert saved_steps(tmp_path) == [2, 3]
    assert "the update is finished and saved first" in capfd.readouterr().err


def test_a_loss_that_is_not_finite_stops_with_its_batch(tmp_path: Path):
    def surprise(count: int) -> float:
        return float("nan") if count == 5 else 1.0

    # The update after it is dispatched before its loss is read, but not saved.
    with pytest.raises(DivergenceError, match=r"step 5: loss nan.*clip nan"):
        run_toy(tmp_path, toy_stage(surprise))
    assert saved_steps(tmp_path) == [2, 4]


def test_a_figure_becomes_a_picture():
    image = draw_figure()
    assert image.shape == (400, 800, 3)
    assert image.min() < 64
    assert image.max() == 255


def test_wandb_is_refused_in_one_line_where_it_is_missing(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("train.engine.writers.find_spec", lambda name: None)
    options = RunOptions(tmp_path / "run", wandb="portraits")
    message = "--wandb needs the package wandb, which is not installed"
    with pytest.raises(ConfigError, match=message):
        train(toy_stage(), options, Console(quiet=True))
    # nothing was begun
    assert not (tmp_path / "run").exists()


def test_a_run_continues_from_the_step_that_resume_names(tmp_path: Path):
    assert resume_step("auto", []) is None
    assert resume_step("auto", [9, 10]) == 10
    assert resume_step("9", [9, 10]) == 9
    check_folder("never", tmp_path)
    (tmp_path / "something").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        check_folder("never", tmp_path)
    with pytest.raises(ConfigError, match="--resume sometimes"):
        check_folder("sometimes", tmp_path)


def test_a_changed_run_is_shown():
    run = {"stage": "flow", "dataset": {"audio_encoder": "a"}}
    stage = SimpleNamespace(config=FlowConfig(), run=run)
    saved = {"stage": "flow", "config": {"seed": 1}, "dataset": {"audio_encoder": "b"}}
    with pytest.raises(
        ConfigError,
        match=r"seed: the run has 1, now 0.*audio_encoder: the run has b, now a",
    ):
        check_unchanged(saved, stage)
    other = saved | {"stage": "renderer"}
    with pytest.raises(ConfigError, match="stage: the run has renderer, now flow"):
        check_unchanged(other, stage)


@pytest.mark.parametrize(
    ("stage", "default"), [("flow", FlowConfig()), ("renderer", RendererConfig())]
)
def test_a_run_of_the_first_layout_is_unchanged(stage: str, default):
    saved = SAVED_RUNS[stage]
    # The command line that started the run gives the same options.
    config = apply(default, saved["config"], "saved")
    check_unchanged(saved, SimpleNamespace(config=config, run=saved))
    changed = replace(config, seed=7)
    with pytest.raises(ConfigError, match="seed: the run has 0, now 7"):
        check_unchanged(saved, SimpleNamespace(config=changed, run=saved))


def test_options_that_cannot_be_read_are_refused_in_one_line():
    saved = {"stage": "flow", "config": {"seed": "zero"}}
    stage = SimpleNamespace(config=FlowConfig(), run={"stage": "flow"})
    with pytest.raises(ConfigError, match=r"another version .*seed.*new --work-dir$"):
        check_unchanged(saved, stage)


def test_an_optimizer_is_stored_as_in_the_first_layout(tmp_path: Path):
    run_toy(tmp_path, toy_stage(steps=1))
    path = tmp_path / "checkpoints/1/optimizer/_METADATA"
    tree = json.loads(path.read_text())["tree_metadata"].values()
    keys = [[part["key"] for part in leaf["key_metadata"]] for leaf in tree]
    # The weight's name ends the paths of its moments.
    names = {".".join(key for key in path if key != "w") for path in keys}
    assert names == set(SAVED_RUNS["optimizer"])
