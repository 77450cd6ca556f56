"""Bad input of the inference program: one clear line, and no file."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from jaxportrait import demo
from tests.infer.files import blank, cut, part_of, write
from tests.infer.program import command, run
from tests.inputs import write_wave

# Case -> the option, its value from inputs, folder and voice, and the message.
BAD = {
    "missing picture": ("-s", lambda i, p, v: p / "no.png", "no picture at"),
    "not a picture": (
        "-s",
        lambda i, p, v: write(p / "a.jpg", b"hello, this is text"),
        "not a picture",
    ),
    "truncated picture": (
        "-s",
        lambda i, p, v: cut(p / "cut.png", i["-s"]),
        "damaged or cut short",
    ),
    "empty picture": ("-s", lambda i, p, v: write(p / "empty.png", b""), "is empty"),
    "folder as picture": ("-s", lambda i, p, v: p, "is a folder"),
    "missing sound": ("-d", lambda i, p, v: p / "no.wav", "does not exist"),
    "not a sound": (
        "-d",
        lambda i, p, v: write(p / "a.wav", b"hello, this is text"),
        "cannot be read",
    ),
    "empty sound": (
        "-d",
        lambda i, p, v: (write_wave(p / "e.wav", v[:0]), p / "e.wav")[1],
        "not empty",
    ),
    "template that calls a function": (
        "-d",
        lambda i, p, v: write(p / "bad.pkl", pickle.dumps(print)),
        "it names builtins.print, and only arrays",
    ),
    "motion cut short": (
        "-d",
        lambda i, p, v: write(p / "cut.safetensors", b"\xff" + bytes(7) + b"{"),
        "is no motion file or damaged",
    ),
    "missing checkpoint": (
        "--checkpoint",
        lambda i, p, v: p / "no",
        "no checkpoint at",
    ),
    "no checkpoint": (
        "--checkpoint",
        lambda i, p, v: p,
        "not a jaxportrait checkpoint",
    ),
    "checkpoint without a part": (
        "--checkpoint",
        lambda i, p, v: part_of(p / "w", i["--checkpoint"]),
        "holds no appearance",
    ),
    "folder that cannot be": (
        "-o",
        lambda i, p, v: i["-s"] / "out",
        "cannot be written to",
    ),
    "face that is not there": ("--face", lambda i, p, v: 3, "there is no face 3"),
    "frame rate": (
        "--output-fps",
        lambda i, p, v: 0,
        "output_fps is 0.0: it must be from 1",
    ),
    "batch": ("--batch-size", lambda i, p, v: 0, "batch_size is 0: it must be from 1"),
    "devices": ("--devices", lambda i, p, v: 3, "devices is 3: choose from 1 to 1"),
    "quality": ("--crf", lambda i, p, v: 99, "crf is 99: it must be from 0 to 51"),
    "device": ("--detector-models", lambda i, p, v: p / "none", "no folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_line_and_no_file(name, inputs, tmp_path, voice, capsys):
    option, make, expected = BAD[name]
    value = make(inputs, tmp_path, voice)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run(inputs, **{option: value})
    errors = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("error: ")
    ]
    # A table of all messages, with pytest's option -s.
    print(f"| {name} | `{errors[0].replace(str(tmp_path), '...')}` |")
    assert stop.value.code == 2
    assert len(errors) == 1
    assert expected in errors[0]
    # Neither a video nor a part of one remains.
    assert not list(tmp_path.rglob("*--*.mp4"))
    assert not list(tmp_path.rglob(".*.partial"))


def test_no_face_says_what_was_tried(inputs, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(inputs, "--detector", "auto", **{"-s": blank(tmp_path / "blank.png")})
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "no face found" in error
    assert " picture by " in error
    assert "pass --detector none" in error


@pytest.mark.parametrize(
    "option",
    [("--windows", "round"), ("--steps", "many"), ("--stepz", "3")],
)
def test_wrong_options_exit_with_2(option, inputs, capsys):
    with pytest.raises(SystemExit) as stop:
        run(inputs, *option)
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert option[0].removeprefix("--") in message
    assert "python -m infer --help" in message
    assert "Traceback" not in message


def test_an_encoder_that_the_machine_lacks_is_named_before_the_work(inputs, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(inputs, "--encoder", "h264_nvenc", **{"--checkpoint": Path("none")})
    assert "encoder h264_nvenc does not open on this machine" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(
            inputs,
            "--stitching",
            "--composition",
            "original",
            **{"--checkpoint": demo.CHECKPOINT},
        )
    messages = capsys.readouterr().err
    assert 'composition "original" moves only lips' in messages
    # The checkpoint was opened, and its networks were not read.
    assert "loading the networks" not in messages


@pytest.mark.parametrize(
    "words", [["--platform", "cuda"], []], ids=["by option", "by environment"]
)
def test_a_platform_that_is_missing_is_one_line(words, tmp_path):
    command = [sys.executable, "-m", "infer", "-o", str(tmp_path / "out"), *words]
    # A machine of these tests has no NVIDIA GPU.
    environment = {**os.environ, "JAX_PLATFORMS": "" if words else "cuda"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: platform cuda is not available (")
    assert done.stderr.count("\n") == 1


def test_a_full_disk_gives_one_line(inputs, tmp_path):
    limited = [
        "bash",
        "-c",
        # Files of at most 8 blocks; the signal is ignored, so that writing fails.
        'ulimit -f 8; trap "" XFSZ; exec "$@"',
        "--",
        *command(inputs, "--crf", "0", "--compilation-cache", "none"),
    ]
    result = subprocess.run(limited, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "cannot be written" in result.stderr.splitlines()[-1]
    assert not list(tmp_path.rglob("*.mp4"))
