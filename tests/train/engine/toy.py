"""A stage of one weight, which learns the mean of its targets; its batches count up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from jaxportrait.motion.space import MotionStatistics
from train.data.batches import Rows
from train.engine.checkpoints import Checkpoints
from train.engine.config import LoopConfig, OptimizerConfig, StageConfig, as_json
from train.engine.journal import pixels, plot_motion
from train.engine.mesh import make_mesh
from train.engine.program import HostBatch, Program
from train.engine.run import RunOptions, train
from train.engine.stage import Plot, Scores
from train.engine.state import (
    Params,
    TrainState,
    learning_rate,
    mean_gradients,
    update,
)

# Intervals are so short that a run of six updates validates, saves and plots.
RATE = 0.1
OPTIMIZER = OptimizerConfig(learning_rate=RATE, warmup_steps=0, drop_steps=())
LOOP = LoopConfig(
    steps=6, log_every=2, validate_every=2, save_every=2, plot_every=4, keep=2
)
CONFIG = StageConfig(batch_size=1, optimizer=OPTIMIZER, loop=LOOP)


class Numbers:
    """Batches of one number, the count of batches before it.

    Args:
      surprise: called with the count; returns the number.
    """

    def __init__(self, surprise: Callable[[int], float]):
        self.count = 0
        self.surprise = surprise

    def __next__(self) -> dict[str, np.ndarray]:
        self.count += 1
        return {"target": np.float32([self.surprise(self.count)])}

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def set_state(self, state: dict[str, Any]) -> None:
        self.count = state["count"]

    def close(self) -> None: ...


def follow(optimizer, key, state, batch):
    """Update the weight by its squared distance from the targets."""

    def loss(params, part):
        return jnp.mean((params["w"] - part["target"]) ** 2)

    value, gradients = mean_gradients(loss, state.params, batch, 1)
    rate = jnp.float32(learning_rate(optimizer)(state.step))
    state, norm = update(state, gradients, optimizer)
    return state, {"loss": value, "gradient_norm": norm, "learning_rate": rate}


def distance(average, batch):
    """Return the distance of the averaged weight from its target."""
    return jnp.abs(average["w"] - batch["target"]).mean()


def fresh():
    return {"w": jnp.zeros(1)}, {}


@dataclass(frozen=True)
class ToyStage:
    """The stage of one weight.

    Attributes:
      surprise: number of a batch by its count.
      best: averaged weight whose validation loss is 0.
      score: scores of an averaged weight.
    """

    config: StageConfig = CONFIG
    surprise: Callable[[int], float] = float
    best: float = 0.0
    score: Callable[[Params], Mapping[str, float]] = lambda average: {}
    initial: dict[str, np.ndarray] = field(default_factory=dict)
    statistics: MotionStatistics | None = None

    @property
    def run(self) -> dict[str, Any]:
        return {"stage": "toy", "config": as_json(self.config)}

    @property
    def program(self) -> Program:
        # A sample is one number.
        inputs = {"target": jax.ShapeDtypeStruct((), np.float32)}
        optimizer = self.config.optimizer
        step = partial(follow, optimizer)
        return Program(step, distance, fresh, optimizer, inputs)

    def batches(self, rows: Rows) -> Numbers:
        return Numbers(self.surprise)

    def held_out(self, rows: Rows) -> Sequence[HostBatch]:
        return [{"target": np.float32([self.best])}]

    def scores(self, mesh: Mesh) -> Scores:
        return lambda frozen, average: self.score(average)

    def plot(self, mesh: Mesh) -> Plot:
        return lambda frozen, average, held_out: {"motion": draw_figure()}

    def describe(self, batch: HostBatch) -> str:
        return f"clip {batch['target'][0]}"


def toy_stage(
    surprise: Callable[[int], float] = float, best: float = 0.0, **loop: int
) -> ToyStage:
    """Return the stage with other intervals."""
    # Intervals may change when a run is resumed.
    config = replace(CONFIG, loop=replace(LOOP, **loop))
    return ToyStage(config, surprise, best)


def draw_figure() -> np.ndarray:
    zeros, ones = np.zeros((9, 2)), np.ones((9, 2))
    return pixels(plot_motion(zeros, ones, ["pitch", "yaw"], 30))


def run_toy(work_dir: Path, stage: ToyStage, resume: str = "auto") -> int:
    """Train the stage in a folder; return 0 when its last step is done."""
    options = RunOptions(work_dir, resume, peak_tflops=1.0)
    return train(stage, options, Console(quiet=True))


def saved_steps(work_dir: Path) -> list[int]:
    """Return the steps that a run saved."""
    # Read-only, as another process would see them.
    checkpoints = Checkpoints(work_dir)
    try:
        return checkpoints.steps
    finally:
        checkpoints.close()


def saved_state(work_dir: Path) -> TrainState:
    """Return the state that a run saved last."""
    checkpoints = Checkpoints(work_dir)
    like = ToyStage().program.on(make_mesh(1)).state
    try:
        return checkpoints.restore(checkpoints.steps[-1], like)[0]
    finally:
        checkpoints.close()
