import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxportrait.checkpoint import CheckpointError, open_checkpoint
from tests.train.runs import World, weights_of
from train.engine.checkpoints import Checkpoints, Saved
from train.engine.config import ConfigError, LoopConfig, OptimizerConfig
from train.engine.journal import Journal, pixels, plot_motion
from train.engine.loop import DivergenceError, Loop, Task
from train.engine.run import check_folder, check_unchanged, resume_step
from train.engine.state import begin, mean_gradients, update
from train.export import Options, export
from train.flow.config import FlowConfig

pytestmark = pytest.mark.usefixtures("optax_promotion")
OPTIMIZER = OptimizerConfig(learning_rate=0.1, warmup_steps=0, drop_steps=())
LOOP = LoopConfig(
    steps=6, log_every=2, validate_every=2, save_every=2, plot_every=4, keep=2
)


class Numbers:
    """Batches of one number, the count of batches before it; `surprise` is called on
    the way."""

    def __init__(self, surprise: Callable[[int], float] = float):
        self.count, self.surprise = 0, surprise

    def __next__(self) -> dict[str, np.ndarray]:
        self.count += 1
        return {"target": np.float32([self.surprise(self.count)])}

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


@jax.jit
def follow(state, batch):
    """One weight that learns the mean of its targets."""
    loss, gradients = mean_gradients(
        lambda p, b: jnp.mean((p["w"] - b["target"]) ** 2), state.params, batch, 1
    )
    state, norm = update(state, gradients, OPTIMIZER)
    return state, {
        "loss": loss,
        "gradient_norm": norm,
        "learning_rate": jnp.float32(0.1),
    }


def figure(state):
    return plot_motion(np.zeros((9, 2)), np.ones((9, 2)), ["pitch", "yaw"], 30)


TASK = Task(
    update=follow,
    validate=lambda state: abs(4 - float(state.step)),
    plot=lambda state: {"motion": pixels(figure(state))},
    describe=lambda batch: f"clip {batch['target'][0]}",
    run={"config": {"seed": 0}},
)


@pytest.fixture
def work(tmp_path: Path):
    """Runs the loop in a folder, and returns state, whether it finished, and the
    checkpoints."""
    opened = []

    def start(batches: Numbers, config: LoopConfig = LOOP) -> SimpleNamespace:
        checkpoints = Checkpoints(tmp_path, config.keep)
        opened.append(checkpoints)
        state = begin({"w": jnp.zeros(1)}, OPTIMIZER)
        if checkpoints.steps:
            like = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
                state,
            )
            state, data = checkpoints.restore(checkpoints.steps[-1], like)
            batches.set_state(dict(data))
        journal = Journal(tmp_path, Console(quiet=True), samples=1, flops=1.0, peak=1.0)
        try:
            state, finished = Loop(TASK, batches, checkpoints, journal, config).run(
                state
            )
        finally:
            journal.close()
            checkpoints.wait()
        return SimpleNamespace(state=state, finished=finished, checkpoints=checkpoints)

    yield start
    for checkpoints in opened:
        checkpoints.close()


def test_the_last_and_the_best_checkpoints_are_kept(work, tmp_path: Path):
    done = work(Numbers(), replace(LOOP, steps=10))
    assert done.finished
    assert done.checkpoints.steps == [4, 8, 10]
    assert done.checkpoints.run(4) == {"config": {"seed": 0}}
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_two_parts_are_one_whole(work, tmp_path: Path):
    work(Numbers(), replace(LOOP, steps=4))
    parts = work(Numbers(), LOOP)
    state = begin({"w": jnp.zeros(1)}, OPTIMIZER)
    for count in range(1, 7):
        state, _ = follow(state, {"target": np.float32([count])})
    chex.assert_trees_all_equal(parts.state, state)


def test_sigterm_saves_and_stops(work):
    def surprise(count: int) -> float:
        if count == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return 1.0

    stopped = work(Numbers(surprise), LOOP)
    assert not stopped.finished
    assert stopped.checkpoints.steps == [2, 3]


def test_ctrl_c_saves_and_stops(work, tmp_path: Path):
    def surprise(count: int) -> float:
        if count == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return 1.0

    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # which a program in the background lacks
    try:
        with pytest.raises(KeyboardInterrupt):
            work(Numbers(surprise), LOOP)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.steps == [2, 3]
    checkpoints.close()


def test_steps_left_behind_are_deleted_by_the_next_save(work, tmp_path: Path):
    done = work(Numbers(), replace(LOOP, keep=3))
    assert done.checkpoints.steps == [2, 4, 6]
    done.checkpoints.close()
    again = Checkpoints(tmp_path, keep=3)
    again.go_on_from(2)
    assert again.steps == [2]
    kept = Checkpoints(
        tmp_path
    )  # as another process finds them if this one is lost before it saves
    assert kept.steps == [2, 4, 6]
    kept.close()
    like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
        done.state,
    )
    state, data = again.restore(2, like)
    again.save(replace(state, step=state.step + 1), Saved({}, data))
    again.wait()
    assert again.steps == [2, 3]
    again.close()


def test_a_loss_that_is_not_finite_stops_with_its_batch(work, tmp_path: Path):
    with pytest.raises(DivergenceError, match=r"step 5: loss nan.*clip nan"):
        work(Numbers(lambda count: float("nan") if count == 5 else 1.0))
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.steps == [2, 4]
    checkpoints.close()


def test_a_figure_becomes_a_picture():
    image = pixels(figure(None))
    assert image.shape == (400, 800, 3)
    assert image.min() < 64
    assert image.max() == 255


def test_where_a_run_goes_on(tmp_path: Path):
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
    stage = SimpleNamespace(
        config=FlowConfig(), run={"stage": "flow", "dataset": {"audio_encoder": "a"}}
    )
    saved = {"stage": "flow", "config": {"seed": 1}, "dataset": {"audio_encoder": "b"}}
    with pytest.raises(
        ConfigError,
        match=r"seed: the run has 1, now 0.*audio_encoder: the run has b, now a",
    ):
        check_unchanged(saved, stage)


STEPS = "40"
OFTEN = (
    "--log-every",
    "1",
    "--validate-every",
    "5",
    "--save-every",
    "5",
    "--batch-size",
    "4",
)


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
    chance, command = (
        random.Random(0),
        world.arguments(run, "--steps", STEPS, "--plot-every", "40", *OFTEN),
    )
    for _ in range(kills):
        process = world.start(command)
        assert process.stdout is not None
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
        (ours, _), (expected, _) = (
            weights_of(folder, kind)
            for folder in (world.root / f"killed{kills}", whole)
        )
        assert ours.keys() == expected.keys()
        for name, leaf in expected.items():
            np.testing.assert_array_equal(ours[name], leaf, err_msg=name)


def test_a_run_becomes_a_checkpoint_that_inference_opens(
    world: World, whole: Path, tmp_path: Path
):
    for kind in ("raw", "ema"):
        said = export(
            Options(
                whole, tmp_path / kind, weights=kind, checkpoint=world.root / "base"
            )
        )
        assert said.startswith(
            f"{tmp_path / kind}: {kind} weights of step 40, with whisper"
        )
        checkpoint, (trained, statistics) = (
            open_checkpoint(tmp_path / kind),
            weights_of(whole, kind),
        )
        assert list(checkpoint.parts) == ["whisper", "flow_transformer"]
        for name, leaf in checkpoint.leaves("flow_transformer").items():
            np.testing.assert_array_equal(leaf, trained[name])
        np.testing.assert_array_equal(
            checkpoint.driver().statistics.std, statistics.std
        )
    with pytest.raises(CheckpointError, match="no run at"):
        export(Options(tmp_path / "nothing", tmp_path / "out"))
    with pytest.raises(CheckpointError, match="holds no checkpoint of step 7"):
        export(Options(whole, tmp_path / "out", step=7))


def test_a_changed_option_is_an_error_of_one_line(world: World, whole: Path):
    status, _, err = world.finish(
        world.arguments("whole", "--steps", "50", "--seed", "5", *OFTEN)
    )
    assert status == 2
    assert [line for line in err.splitlines() if "seed: the run has 0, now 5" in line]
    assert "Traceback" not in err
