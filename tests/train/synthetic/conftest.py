"""People, a speech and a small data set that several tests share."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.train.synthetic.inputs import PAPA, SAMPLE_RATE, SIZE
from train.synthetic.clip import PAINT, ClipPlan
from train.synthetic.scene import Scene
from train.synthetic.speech import Speech


@pytest.fixture(scope="session")
def scenes() -> list[Scene]:
    """Four people; larger than elsewhere, so that they can be detected."""
    plans = [ClipPlan(5, subject, 0, 1.0, 160) for subject in range(4)]
    return [Scene(plan.person[1], plan.size, plan.random(PAINT)) for plan in plans]


@pytest.fixture(scope="session")
def speech() -> Speech:
    """A hum that is loud where PAPA has vowels."""
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    first_vowel = (times > 0.34) & (times < 0.6)
    loud = first_vowel | (times > 0.7)
    hum = 0.5 * loud * np.sin(700 * times)
    return Speech("papa", hum.astype(np.float32), SAMPLE_RATE, PAPA)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with a clip each, by two workers."""
    root = tmp_path_factory.mktemp("synthetic") / "mead"
    run_program(root, workers=2).check_returncode()
    return root


def run_program(
    root: Path, workers: int, seed: int = 14
) -> subprocess.CompletedProcess[str]:
    """Draw two people with a clip each, as a user does."""
    options = {
        "output-path": root,
        "subjects": 2,
        "clips": 1,
        "seconds": 0.5,
        "size": SIZE,
        "workers": workers,
        "seed": seed,
    }
    command = [sys.executable, "-m", "train.synthetic"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    return subprocess.run(command, check=False, capture_output=True, text=True)
