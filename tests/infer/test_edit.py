"""The program that edits a picture, by numbers or by keyframes."""

import sys
from pathlib import Path

import numpy as np
import pytest

from infer.edit import main
from jaxportrait.media.image import read_image
from jaxportrait.media.video import VideoReader

NOD = """
fps = 5
[[keyframes]]
time = 0.0
pitch = 0.0
[[keyframes]]
time = 0.6
pitch = 15.0
"""


@pytest.fixture
def keyframes(tmp_path) -> Path:
    path = tmp_path / "nod.toml"
    path.write_text(NOD, encoding="utf-8")
    return path


def edit(inputs: dict, *words: object, output: Path | None = None) -> None:
    arguments = ["-s", inputs["-s"], "--checkpoint", inputs["--checkpoint"]]
    arguments += ["-o", output or inputs["-o"], "--detector", "none"]
    arguments += ["--compilation-cache", "none", *words]
    sys.argv = ["infer.edit", *map(str, arguments)]
    main()


def test_a_number_makes_a_picture(inputs, capsys):
    edit(inputs, "--yaw", 0)
    # The networks are untrained: only differences are meant.
    still = read_image(inputs["-o"] / "face--edit.png")
    edit(inputs, "--yaw", 20)
    path = inputs["-o"] / "face--edit.png"
    assert capsys.readouterr().out.splitlines() == [str(path), str(path)]
    turned = read_image(path)
    assert turned.shape == still.shape == (256, 256, 3)
    assert np.abs(turned.astype(int) - still).mean() > 1


def test_keyframes_make_a_video(inputs, keyframes):
    edit(inputs, "--keyframes", keyframes, "--crf", 0)
    video = VideoReader(inputs["-o"] / "face--nod.mp4")
    assert video.fps == 5
    frames = np.stack([picture for _, picture in video]).astype(int)
    assert len(frames) == 4
    # The head goes away from the first frame, faster in the middle.
    change = np.abs(frames - frames[0]).mean(axis=(1, 2, 3))
    assert 0 == change[0] < change[1] < change[3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--smile", "2"], "smile is 2.0: it must be from -0.3 to 1.3"),
        (["--crop-scale", "9"], "crop_scale is 9.0: it must be from 1.8 to 3.2"),
        (["--keyframes", "no.toml"], "there are no keyframes at no.toml"),
        (["--keyframes", "NOD", "--smile", "1"], "keyframes have numbers of their own"),
        (["--keyframes", "NOD", "-o", "a.png"], "a.png holds one picture"),
        (["-o", "a.mp4"], "makes one picture"),
        (["-o", "a.avi"], "a.avi ends in .avi"),
        (["--crf", "20"], "crf"),
        (["--crop-scale", "2.5"], "crops nothing: leave out either"),
        (["--eyes-ratio", "0"], "of the source's eyes and lips is not known"),
        (["--box", "0,0,64,64", "--face", "0"], "a box tells the face"),
        (["--warmup"], "--warmup is for clips of sound"),
    ],
)
def test_edits_that_cannot_be_are_named(inputs, keyframes, capsys, words, message):
    # The file is known only here.
    words = [keyframes if word == "NOD" else word for word in words]
    with pytest.raises(SystemExit) as stop:
        edit(inputs, *words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert message in error
    assert not Path("a.mp4").exists()


def test_a_network_that_is_missing_is_named_before_loading(
    inputs, renderer_checkpoint, capsys
):
    with pytest.raises(SystemExit) as stop:
        edit(inputs | {"--checkpoint": renderer_checkpoint}, "--lip-ratio", "0.3")
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "lip_retargeting was asked for" in error
    assert "loading" not in error
