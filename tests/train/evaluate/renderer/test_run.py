"""The judge of renderers as a user runs it."""

import json
import sys
from pathlib import Path

import cv2
import pytest
from rich.console import Console

from tests.train.evaluate.renderer.heads import GROUPS, SIZE, write_heads
from tests.train.portraits import save_small_checkpoint
from train.data.frames import open_frames
from train.evaluate.renderer.__main__ import main
from train.evaluate.renderer.regions import RegionOptions, find_regions
from train.evaluate.renderer.run import Options, evaluate
from train.renderer import evaluate as previous

SHEETS = {"own.png", "cross-1.png", "cross-2.png"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("frames")
    return write_heads(path, "M1/a", "M1/b", "W2/c", train="M1/b")


def arguments(frames: Path, checkpoint: Path, output: Path, *more: object) -> list[str]:
    paths = ["--dataset-path", frames, "--checkpoint", checkpoint, "--output", output]
    return ["evaluate", *(str(word) for word in (*paths, *more))]


@pytest.mark.parametrize(
    ("people", "pairs", "clips"),
    [("held-out", 4, ["M1/a", "W2/c"]), ("all", 6, ["M1/a", "M1/b", "W2/c"])],
)
def test_the_program_writes_table_figures_and_sheets(
    frames, checkpoint, tmp_path, monkeypatch, capsys, people, pairs, clips
):
    output = tmp_path / "out"
    more = ["--pairs", pairs]
    if people == "all":
        more += ["--people", people]
    monkeypatch.setattr(sys, "argv", arguments(frames, checkpoint, output, *more))
    main()
    report = json.loads((output / "evaluation.json").read_text())
    assert (report["people"], report["pairs"]) == (people, pairs)
    assert (report["clips"], report["size"]) == (clips, SIZE)
    # the eyes' landmarks are unknown in every frame
    assert set(report["measures"]) == {"picture", "mouth"}
    for region in report["measures"].values():
        assert set(region) == {"made", "reduced", "source"}
        # An untrained renderer is worse than a blurred truth.
        assert region["reduced"]["psnr"] > region["made"]["psnr"]
    sheet = cv2.imread(str(output / "own.png"))
    assert sheet is not None
    assert sheet.shape[1] == 4 * 256
    assert {path.name for path in output.iterdir()} == {"evaluation.json", *SHEETS}
    out = capsys.readouterr().out
    line = f"{pairs} pairs of {len(clips)} clips ({people} people) at {SIZE} pixels"
    assert line in out
    assert "truth at input size" in out


@pytest.mark.parametrize("program", [main, previous.main])
def test_a_request_that_measures_nothing_is_one_line_and_status_2(
    program, frames, checkpoint, tmp_path, monkeypatch, capsys
):
    words = arguments(frames, checkpoint, tmp_path / "out", "--mouth", 999)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as status:
        program()
    assert status.value.code == 2
    *notes, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: --mouth names landmark 999, and ")
    name = "`python -m train.renderer.evaluate` is now"
    assert [name in note for note in notes] == ([] if program is main else [True])


def test_regions_are_those_that_the_data_set_names(frames, tmp_path):
    dataset = open_frames(frames)
    eyes = [GROUPS["eye_left"], GROUPS["eye_right"]]
    regions = find_regions(RegionOptions(), dataset)
    assert regions == {"mouth": [GROUPS["lips_outer"]], "eyes": eyes}
    chosen = find_regions(RegionOptions(mouth=(4, 5), left_eye=()), dataset)
    assert chosen == {"mouth": [(4, 5)], "eyes": [GROUPS["eye_right"]]}


def test_an_unknown_landmark_is_refused(frames):
    message = r"--left-eye names landmark 12, and .* has 12: pass its own"
    with pytest.raises(ValueError, match=message):
        find_regions(RegionOptions(left_eye=(3, 12)), open_frames(frames))


def test_frames_of_another_zoom_are_refused(checkpoint, tmp_path):
    path = write_heads(tmp_path, "M1/a", zoom=1.5)
    message = r"was cut out with --zoom 1\.5, and .* was trained on 1: make frames"
    with pytest.raises(ValueError, match=message):
        evaluate(Options(path, checkpoint, tmp_path / "out"), Console(quiet=True))
