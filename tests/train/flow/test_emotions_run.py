"""A run with emotions: it resumes exactly, and keeps its emotions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.train.flow.worlds import CONFIG, FlowWorld
from tests.train.runs import weights_of
from train.command import parse
from train.engine.config import ConfigError
from train.flow.config import EMOTION_DROPOUT, FlowConfig

pytestmark = pytest.mark.usefixtures("optax_promotion")
NAMES = ("happy", "sad")
LABELS = ({"emotion": "happy", "level": 2}, {"emotion": "sad", "level": 1})
EMOTIONAL = replace(CONFIG, emotions=NAMES, emotion_dropout=0.5)


def train(world: FlowWorld, run: str, steps: int, config: FlowConfig) -> Path:
    config = replace(config, loop=replace(config.loop, steps=steps))
    return world.train(run, world.open(config=config))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> FlowWorld:
    return FlowWorld.make(tmp_path_factory.mktemp("world"), LABELS)


@pytest.fixture(scope="module")
def run(world) -> Path:
    """A run with emotions, after one update or more."""
    return train(world, "run", 1, EMOTIONAL)


def test_a_run_with_emotions_resumes_to_the_same_bits(world, run):
    first, _ = weights_of(run)
    resumed, _ = weights_of(train(world, "run", 2, EMOTIONAL))
    whole, _ = weights_of(train(world, "whole", 2, EMOTIONAL))
    assert resumed.keys() == whole.keys()
    for name, leaf in whole.items():
        np.testing.assert_array_equal(resumed[name], leaf)
    # The known-bad case: an update changes the emotions, which start at zero.
    assert np.any(first["emotions"])
    assert np.any(whole["emotions"] != first["emotions"])


def test_a_resumed_run_keeps_its_emotions(world, run):
    command = ["--dataset-path", "data", "--work-dir", str(run)]
    assert parse(command).training.emotions == NAMES
    # A new run has none, unless they are named.
    command[-1] = str(world.root / "new")
    assert parse(command).training.emotions == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"emotions": ("sad", "happy")},
            "emotions: the run has .*happy.*now .*'sad', ",
        ),
        ({"emotions": ()}, "emotions: the run has .*happy.*, now "),
        ({"emotion_dropout": 0.2}, "emotion_dropout: the run has 0.5, now 0.2"),
    ],
)
def test_a_run_is_not_resumed_with_other_emotions(world, run, changes, message):
    # Without emotions, there is no dropout of them to choose.
    changed = replace(EMOTIONAL, emotion_dropout=EMOTION_DROPOUT)
    changed = replace(changed, **changes)
    with pytest.raises(ConfigError, match=message):
        train(world, run.name, 2, changed)
