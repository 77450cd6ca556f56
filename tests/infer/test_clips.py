"""The inference program as a user runs it: a video of what was asked for."""

import sys
from errno import ENOSPC
from io import StringIO
from math import ceil

import cv2
import numpy as np

from infer.__main__ import main
from jaxportrait import demo
from jaxportrait.media.audio import Audio
from jaxportrait.media.image import read_image
from jaxportrait.media.video import VideoReader
from tests.infer.files import talking
from tests.infer.program import run
from tests.inputs import write_wave


class FullStream(StringIO):
    """A stream into a full disk."""

    def write(self, text: str) -> int:
        raise OSError(ENOSPC, "No space left on device")


def test_a_full_stderr_stops_no_video(inputs, monkeypatch):
    monkeypatch.setattr(sys, "stderr", FullStream())
    run(inputs, "--output-fps", "2")
    assert (inputs["-o"] / "face--voice.mp4").is_file()


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
        ceil(2 * Audio.open(demo.SENTENCE).duration),
    )
    assert "warning" not in capsys.readouterr().err


def test_the_demos_networks_are_not_for_photographs(
    inputs, tmp_path, monkeypatch, capsys
):
    # The tiny checkpoint stands in for the demo's.
    monkeypatch.setattr(demo, "CHECKPOINT", inputs["--checkpoint"])
    run(inputs)
    error = capsys.readouterr().err
    # Before the work, and again after it.
    warning = "warning: the demo's networks know only drawn heads, and photographs"
    assert error.count(warning) == 2
    assert error.rindex(warning) > error.index("rendering")


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


def test_a_video_gives_its_sound_on_request(inputs, tmp_path, voice):
    run(
        inputs,
        "--driving-kind",
        "audio",
        **{"-d": talking(tmp_path / "talk.mp4", voice[:16_000])},
    )
    assert (inputs["-o"] / "face--talk.mp4").is_file()
