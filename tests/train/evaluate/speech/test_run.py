"""The judge of speaking heads as a user runs it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.train.evaluate.speech.truths import save_truth
from tests.train.portraits import save_small_checkpoint
from tests.train.videos import write_mead_clip
from train import spoken
from train.evaluate.speech.__main__ import main
from train.evaluate.speech.run import Options, evaluate

FRAMES = 36


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    """Two clips of a head whose mouth opens three times a second, with their truth."""
    root = tmp_path_factory.mktemp("heads")
    for index, subject in enumerate(("M001", "W002")):
        frames = FRAMES + 6 * index
        seconds = frames / 30
        # The truth's swing starts with the first picture.
        video = write_mead_clip(
            root, subject, "happy", 1, "001", seconds=seconds, phase=0
        )
        swing = np.sin(2 * np.pi * 3 * np.arange(frames) / 30)
        save_truth(video, np.maximum(0.1 + 0.08 * swing, 0))
    return root


def arguments(heads: Path, output: Path, *more: object) -> list[str]:
    paths = ["speech", "--heads", heads, "--training-heads", heads, "--output", output]
    return [str(word) for word in (*paths, *more)]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_program_measures_the_regressors_only(heads, tmp_path, monkeypatch, capsys):
    output = tmp_path / "out"
    words = arguments(heads, output, "--regressor-steps", 40)
    monkeypatch.setattr(sys, "argv", words)
    main()
    report = json.loads((output / "spoken.json").read_text())
    assert report["regressors"]["opening"]["correlation"] > 0.8
    assert report["training_clips"] == 2
    assert "speech" not in report
    assert names_in(output) == {"spoken.json"}
    assert "2 held-out clips" in capsys.readouterr().out


def test_the_program_measures_what_a_checkpoint_says(
    heads, tmp_path, monkeypatch, capsys
):
    checkpoint = save_small_checkpoint(tmp_path / "small")
    output = tmp_path / "out"
    sampling = ["--steps", 1, "--cfg-scale", 1, "--detector", "none"]
    more = ["--checkpoint", checkpoint, *sampling, "--regressor-steps", 1]
    monkeypatch.setattr(sys, "argv", arguments(heads, output, *more))
    main()
    report = json.loads((output / "spoken.json").read_text())
    speech = report["speech"]
    motion = report["motion"]
    assert set(speech) == {"truth frames", "rendered"}
    read = report["regressors"]["opening"]["correlation"]
    assert speech["truth frames"]["correlation"] == pytest.approx(read)
    # an untrained mouth follows nothing
    assert abs(speech["rendered"]["correlation"]) < 0.9
    assert list(motion) == [
        "training heads, truth",
        "held-out heads, truth",
        "held-out heads, as read",
        "rendered, as read",
    ]
    # Two blinks in all frames, at 1800 frames a minute.
    rate = 2 / (2 * FRAMES + 6) * 1800
    true_rate = motion["training heads, truth"]["blinks_a_minute"]
    assert true_rate == pytest.approx(rate)
    values = [list(row.values()) for row in motion.values()]
    assert np.isfinite(values).all()
    videos = {f"{name}-video-front-happy-level_1-001.mp4" for name in ("M001", "W002")}
    assert names_in(output) == {"spoken.json", "openings.png", "frames.png", *videos}
    assert "r, wrong sentence" in capsys.readouterr().out


def test_a_single_clip_is_refused(heads, tmp_path):
    root = tmp_path / "single"
    write_mead_clip(root, "M001", "sad", 1, "001", seconds=0.5, sound=False)
    options = Options(root, heads, tmp_path / "out")
    message = "holds 1 clip, and sentences are compared: draw more"
    with pytest.raises(ValueError, match=message):
        evaluate(options, Console(quiet=True))


def test_the_previous_name_still_works_with_a_note(
    heads, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", arguments(heads, tmp_path / "out", "--clips", 1))
    with pytest.raises(SystemExit) as status:
        spoken.main()
    assert status.value.code == 2
    note, error = capsys.readouterr().err.splitlines()
    assert "`python -m train.spoken` is now `python -m train.evaluate.speech`" in note
    assert error == "error: clips is 1: it must be 2 or more"
