"""Schedules of the learning rate, and what of them may change when a run is resumed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.train.engine.toy import CONFIG, LOOP, ToyStage, run_toy
from train.command import parse
from train.engine.config import (
    ConfigError,
    OptimizerConfig,
    StageConfig,
    as_json,
)
from train.engine.schedule import check_rates, shares
from train.engine.toml import apply
from train.flow.config import FlowConfig

pytestmark = pytest.mark.usefixtures("optax_promotion")


def stage(steps: int = 6, **options: Any) -> StageConfig:
    """Return the toy's options with another schedule."""
    loop = replace(LOOP, steps=steps)
    return replace(CONFIG, loop=loop, optimizer=replace(CONFIG.optimizer, **options))


def rates(work_dir: Path) -> list[float]:
    """Return the learning rates that a run wrote."""
    lines = (work_dir / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [entry["learning_rate"] for entry in entries if "learning_rate" in entry]


def test_a_cosine_falls_from_the_warm_up_to_its_floor():
    config = stage(12, schedule="cosine", warmup_steps=2, rate_floor=0.1)
    course = shares(config.optimizer, 13)
    np.testing.assert_allclose(course[:3], [1 / 3, 2 / 3, 1], rtol=1e-6)
    # Half of the fall, its end, and one update more.
    np.testing.assert_allclose(course[[7, 12]], [0.55, 0.1], rtol=1e-6)
    later = shares(replace(config, loop=LOOP).optimizer, 13)
    np.testing.assert_allclose(later[[6, 12]], [0.1, 0.1], rtol=1e-6)


def test_a_cosine_may_start_late():
    config = stage(12, schedule="cosine", cosine_start=8)
    course = shares(config.optimizer, 11)
    np.testing.assert_allclose(course[[0, 8, 10]], [1, 1, 0.5], rtol=1e-6)


def test_a_constant_rate_ignores_the_published_drops():
    constant = OptimizerConfig(schedule="constant", warmup_steps=0)
    steps = OptimizerConfig(warmup_steps=0)
    updates = 25_001
    assert shares(constant, updates)[-1] == pytest.approx(1)
    assert shares(steps, updates)[-1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "cosine", "drop_steps": [3]}, "drop_steps is .*choose schedule"),
        ({"schedule": "constant", "drop_factor": 0.5}, "drop_factor is 0.5"),
        ({"schedule": "constant", "rate_floor": 0.1}, "choose schedule cosine"),
        ({"cosine_start": 5}, "schedule steps does not read it"),
        ({"schedule": "cosine", "warmup_steps": 9, "cosine_start": 5}, "within"),
        ({"schedule": "cosine", "warmup_steps": 6}, "the run ends at 6"),
    ],
)
def test_options_of_another_schedule_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        apply(CONFIG, {"optimizer": options}, "a.toml")


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 0.01},
        {"drop_steps": (4, 5)},
        {"schedule": "cosine", "cosine_start": 4},
    ],
)
def test_updates_to_come_may_change(options: dict[str, Any]):
    check_rates(stage(), stage(**options), 4)


@pytest.mark.parametrize(
    "options", [{"drop_steps": (3,)}, {"schedule": "cosine"}, {"warmup_steps": 2}]
)
def test_updates_that_are_done_may_not_change(options: dict[str, Any]):
    with pytest.raises(
        ConfigError, match=r"update \d of 4 had .* cosine_start of 4 or"
    ):
        check_rates(stage(), stage(**options), 4)


def test_a_cosine_that_has_begun_keeps_its_steps():
    short = stage(8, schedule="cosine")
    check_rates(short, short, 4)
    with pytest.raises(
        ConfigError, match=r"until update 8, and 4 .*choose 8 steps again"
    ):
        check_rates(short, stage(16, schedule="cosine"), 4)


@pytest.mark.parametrize(
    "options", [{"schedule": "cosine"}, {"schedule": "cosine", "cosine_start": 8}, {}]
)
def test_a_finished_cosine_is_continued_by_a_new_run(options: dict[str, Any]):
    with pytest.raises(ConfigError, match=r"export.*--init$"):
        check_rates(stage(8, schedule="cosine"), stage(16, **options), 8)


def test_an_earlier_step_and_another_schedule_keep_what_they_read(tmp_path: Path):
    # Two checkpoints of a run whose rate was changed between them.
    for step, rate in ((2, 0.001), (4, 0.5)):
        options = OptimizerConfig(learning_rate=rate, drop_steps=(7,))
        folder = tmp_path / "checkpoints" / str(step) / "run"
        folder.mkdir(parents=True)
        run = {"stage": "flow", "config": as_json(FlowConfig(optimizer=options))}
        (folder / "metadata").write_text(json.dumps(run))
    command = ["--dataset-path", "d", "--work-dir", str(tmp_path)]
    last = parse(command).training.optimizer
    assert (last.learning_rate, last.drop_steps) == (0.5, (7,))
    assert parse([*command, "--resume", "2"]).training.optimizer.learning_rate == 0.001
    falling = parse([*command, "--schedule", "cosine", "--cosine-start", "2000"])
    assert falling.training.optimizer.drop_steps == ()


def test_a_schedule_leaves_the_options_of_a_file_behind():
    command = ["--dataset-path", "d", "--work-dir", "r", "--config", "demo_flow"]
    drops = parse(command).training.optimizer
    assert (drops.drop_steps, drops.drop_factor) == ((1000, 1300), 0.3)
    falling = parse([*command, "--schedule", "cosine"]).training.optimizer
    assert (falling.schedule, falling.drop_steps) == ("cosine", ())
    # Options that the command line itself names still contradict.
    words = [*command, "--schedule", "cosine", "--drop-factor", "0.5"]
    with pytest.raises(SystemExit):
        parse(words)


def test_a_resumed_run_falls_from_its_step_on(tmp_path: Path):
    def train(config: StageConfig) -> None:
        config = replace(config, loop=replace(config.loop, log_every=1))
        run_toy(tmp_path, ToyStage(config))

    train(stage(4))
    # The run has four updates: a cosine from the first on would contradict them.
    with pytest.raises(ConfigError, match="of updates that are done cannot change"):
        train(stage(8, schedule="cosine"))
    train(stage(8, schedule="cosine", cosine_start=4, learning_rate=0.2))
    falling = [0.2, 0.2 * 0.8535534, 0.1, 0.2 * 0.1464466]
    np.testing.assert_allclose(rates(tmp_path), [0.1] * 4 + falling, rtol=1e-5)
