"""The script that trains the demo's networks runs from random weights to a checkpoint
that animates."""

import os
import subprocess
from pathlib import Path

import pytest

from jaxportrait import demo
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint
from train.synthetic.espeak import open_library

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "train_demo.sh"
SMALL = {"UPDATES": "2", "HEADS": "4", "SPEAKERS": "3"}
"""Enough people for a training and a held-out split."""


@pytest.mark.full
@pytest.mark.skipif(open_library() is None, reason="espeak-ng is not installed")
def test_every_stage_runs_and_the_result_animates(tmp_path):
    runs = tmp_path / "runs"
    subprocess.run(
        ["bash", str(SCRIPT), str(tmp_path / "data"), str(runs)],
        cwd=ROOT,
        env={**os.environ, **SMALL},
        check=True,
    )
    trained = open_checkpoint(runs / "demo.checkpoint")
    # The bundled networks were trained longer, not built differently.
    bundled = open_checkpoint(demo.CHECKPOINT)
    assert trained.parts == bundled.parts
    assert trained.crop == bundled.crop
    assert trained.keypoints == bundled.keypoints
    assert trained.driver().config == bundled.driver().config
    animator = Animator.from_checkpoint(runs / "demo.checkpoint")
    frame = next(iter(animator.animate(demo.PORTRAIT, demo.SENTENCE)))
    assert frame.shape == (512, 512, 3)


def test_no_stage_starts_from_weights_that_the_script_has_not_trained():
    words = SCRIPT.read_text(encoding="utf-8").split()
    starts = [words[i + 1] for i, word in enumerate(words) if word == "--init"]
    assert starts
    assert all(start.startswith('"$runs/') for start in starts)
