"""The inference program as a user runs it: a video, or one clear line and no file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from infer.__main__ import main
from jaxportrait import demo
from jaxportrait.checkpoint import (
    Contents,
    leaves_of,
    open_checkpoint,
    save_checkpoint,
)
from jaxportrait.console.interrupts import remember_interrupts
from jaxportrait.media.audio import Audio
from jaxportrait.media.image import read_image
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter
from tests.inputs import write_wave


@pytest.fixture
def inputs(tmp_path, portrait, voice, tiny_checkpoint) -> dict[str, Path]:
    cv2.imwrite(str(tmp_path / "face.png"), portrait[..., ::-1])
    write_wave(tmp_path / "voice.wav", voice[:16_000])
    return {
        "-s": tmp_path / "face.png",
        "-d": tmp_path / "voice.wav",
        "-o": tmp_path / "out",
        "--checkpoint": tiny_checkpoint,
    }


def run(inputs: dict, *more: str, **changed) -> None:
    options = {**inputs, **changed}
    # A dictionary of options becomes words.
    arguments = [str(word) for pair in options.items() for word in pair]
    sys.argv = [
        "infer",
        *arguments,
        "--detector",
        "none",
        "--steps",
        "2",
        "--compilation-cache",
        "none",
        *more,
    ]
    main()


def test_a_video_is_written_and_named(inputs, capsys):
    run(inputs, "--output-fps", "25", "--crf", "10")
    printed = capsys.readouterr()
    path = inputs["-o"] / "face--voice.mp4"
    # stdout holds only the path, for scripts.
    assert printed.out.strip() == str(path)
    for stage in (
        "loading the networks",
        "encoding the source",
        "making motion of 1.0 s",
        "rendering 25 frames",
    ):
        assert stage in printed.err
    # Compilation is counted apart.
    assert "compiling" in printed.err
    video = VideoReader(path)
    assert (video.size, video.fps, len(list(video))) == ((256, 256), 25, 25)
    assert Audio.open(path, allow_video=True).duration >= 1.0


def test_what_is_not_given_is_the_demos(inputs, tmp_path, capsys):
    sys.argv = [
        "infer",
        "--checkpoint",
        str(inputs["--checkpoint"]),
        "-o",
        str(tmp_path / "demo"),
    ]
    # Few frames of few steps, for a test's time.
    sys.argv += ["--output-fps", "2", "--steps", "2", "--compilation-cache", "none"]
    main()
    video = VideoReader(tmp_path / "demo" / "portrait--sentence.mp4")
    assert (video.size, len(list(video))) == (
        (512, 512),
        round(2 * Audio.open(demo.SENTENCE).duration),
    )
    assert "warning" not in capsys.readouterr().err


def test_the_demos_networks_are_not_for_photographs(
    inputs, tmp_path, monkeypatch, capsys
):
    # The tiny checkpoint stands in for the demo's.
    monkeypatch.setattr(demo, "CHECKPOINT", inputs["--checkpoint"])
    run(inputs)
    assert (
        "warning: the demo's networks know only drawn heads" in capsys.readouterr().err
    )


def test_silence_is_legal(inputs, tmp_path):
    write_wave(tmp_path / "silence.wav", np.zeros(8_000, np.float32))
    run(inputs, **{"-d": tmp_path / "silence.wav"})
    assert len(list(VideoReader(inputs["-o"] / "face--silence.mp4"))) == 15


def test_the_face_is_pasted_into_a_large_picture(inputs, tmp_path, portrait):
    """A 3000-pixel picture is searched small and pasted at full size."""
    # A face of 1024 pixels in the left half.
    big = np.full((1500, 3000, 3), 90, np.uint8)
    big[200:1224, 100:1124] = cv2.resize(portrait, (1024, 1024))
    cv2.imwrite(str(tmp_path / "big.png"), big[..., ::-1])
    run(inputs, "--detector", "haar", **{"-s": tmp_path / "big.png"})
    frame = next(iter(VideoReader(inputs["-o"] / "big--voice.mp4")))[1].astype(int)
    source = read_image(tmp_path / "big.png").astype(int)
    assert frame.shape == source.shape
    # Codecs change pixels by less than that.
    changed = np.abs(frame - source).max(axis=2) > 40
    assert changed[300:1100, 200:1000].mean() > 0.5
    assert not changed[:, 1500:].any()


def test_of_two_faces_the_larger_is_taken_with_a_warning(
    inputs, tmp_path, portrait, capsys
):
    two = np.full((600, 1000, 3), 90, np.uint8)
    # The larger face is at the left.
    two[40:552, 10:522] = cv2.resize(portrait, (512, 512))
    two[100:356, 700:956] = portrait
    cv2.imwrite(str(tmp_path / "two.png"), two[..., ::-1])
    run(inputs, "--detector", "haar", **{"-s": tmp_path / "two.png"})
    assert (
        "warning: 2 faces found, animating the largest: choose another with --face N"
        in capsys.readouterr().err
    )
    frame = next(iter(VideoReader(inputs["-o"] / "two--voice.mp4")))[1].astype(int)
    changed = (np.abs(frame - two) > 40).any(axis=2)
    assert changed[200:400, 150:350].mean() > 0.5
    assert changed[:, 760:].mean() < 0.01  # but for what the codec does to edges
    # A choice needs no warning.
    run(inputs, "--detector", "haar", "--face", "1", **{"-s": tmp_path / "two.png"})
    assert "warning" not in capsys.readouterr().err


def no_audio(path: Path) -> Path:
    with VideoWriter(path, size=(64, 64), fps=10, audio=None) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    return path


def talking(path: Path, voice: np.ndarray) -> Path:
    with VideoWriter(
        path, size=(64, 64), fps=10, audio=Audio.from_samples(voice, 16_000)
    ) as writer:
        for _ in range(10):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    return path


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def blank(path: Path) -> Path:
    cv2.imwrite(str(path), np.full((300, 300, 3), 200, np.uint8))
    return path


def cut(path: Path, whole: Path) -> Path:
    return write(path, whole.read_bytes()[: whole.stat().st_size // 2])


def jpeg(path: Path, portrait: np.ndarray) -> Path:
    cv2.imwrite(str(path), portrait)
    return path


def part_of(path: Path, checkpoint: Path) -> Path:
    whisper = open_checkpoint(checkpoint).network("whisper")
    save_checkpoint(
        path,
        Contents(parts={"whisper": whisper.config}),
        {"whisper": leaves_of(whisper)},
    )
    return path


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
    "no audio stream": (
        "-d",
        lambda i, p, v: no_audio(p / "mute.mp4"),
        "has no audio stream",
    ),
    "video as sound": (
        "-d",
        lambda i, p, v: talking(p / "talk.mp4", v),
        "--driving-kind audio",
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
        "output fps is 0: it must be from 1",
    ),
    "batch": ("--batch-size", lambda i, p, v: 0, "batch size is 0"),
    "devices": ("--devices", lambda i, p, v: 3, "devices is 3: choose from 1 to 1"),
    "quality": ("--crf", lambda i, p, v: 99, "crf must be from 0 to 51"),
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
    assert not list(tmp_path.rglob(".jaxportrait*"))


def test_no_face_says_what_was_tried(inputs, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(inputs, "--detector", "auto", **{"-s": blank(tmp_path / "blank.png")})
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "no face found" in error
    assert "haar" in error
    assert "--detector none" in error


@pytest.mark.parametrize(
    "option",
    [("--windows", "round"), ("--steps", "many"), ("--stepz", "3"), ("--steps", "0")],
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
    # The networks are loaded, and no work has begun.
    assert "encoding the source" not in messages


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


def test_a_video_gives_its_sound_on_request(inputs, tmp_path, voice):
    run(
        inputs,
        "--driving-kind",
        "audio",
        **{"-d": talking(tmp_path / "talk.mp4", voice[:16_000])},
    )
    assert (inputs["-o"] / "face--talk.mp4").is_file()


def command(inputs: dict, *more: str) -> list[str]:
    options = [str(word) for pair in inputs.items() for word in pair]
    return [
        sys.executable,
        "-m",
        "infer",
        *options,
        "--detector",
        "none",
        "--steps",
        "2",
        *more,
    ]


LISTEN = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with it ignored
runpy.run_module("infer", run_name="__main__")
"""


def test_ctrl_c_leaves_nothing(inputs, tmp_path, voice):
    write_wave(tmp_path / "long.wav", np.tile(voice, 60))
    long = {**inputs, "-d": tmp_path / "long.wav"}
    # Two minutes of sound take longer than this test.
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, *command(long)[3:]],
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(1200):  # until the file is being written
        if list(tmp_path.rglob(".jaxportrait*")) or process.poll() is not None:
            break
        time.sleep(0.1)
    # Let it render, so that Ctrl-C falls within a frame.
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted: nothing was written" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.fixture
def default_interrupts() -> Iterator[None]:
    """Python's own handler of Ctrl-C, which programs in the background of a shell are
    started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_interrupts")
def test_ctrl_c_within_a_callback_is_not_lost_and_says_nothing():
    class Callback:
        # Python prints and forgets errors of `__del__`.
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with remember_interrupts() as check:
        check()
        Callback()  # what is raised there, Python forgets
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_warming_up_fills_the_cache_and_makes_no_video(inputs, tmp_path, capfd):
    cache = tmp_path / "cache"
    arguments = command(inputs, "--compilation-cache", str(cache))
    done = subprocess.run(
        [*arguments, "--warmup"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(cache)
    assert "compiling for clips of up to 1.0 s" in done.stderr
    assert not inputs["-o"].exists()
    # The cache keeps a file of access times beside each program.
    programs = {
        path.name for path in cache.iterdir() if not path.name.endswith("-atime")
    }
    assert programs
    # A clip compiles nothing more.
    subprocess.run(arguments, check=True)
    assert {
        path.name for path in cache.iterdir() if not path.name.endswith("-atime")
    } == programs


def test_warming_up_needs_a_cache(inputs, capsys):
    with pytest.raises(SystemExit):
        run(inputs, "--warmup")
    assert "--compilation-cache none does not" in capsys.readouterr().err


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
