"""Clips in which all faces of a picture move."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from infer.__main__ import main
from jaxportrait import demo
from jaxportrait.media.audio import Audio
from jaxportrait.media.image import read_image
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.file import save_motion
from jaxportrait.motion.space import MOTION_SPACES, POSE, neutral_frames
from tests.inputs import write_wave

FPS = 5


def nod(path: Path, frames: int, degrees: float = 20) -> Path:
    """Save the motion of a head that nods."""
    values = neutral_frames(frames)
    values[:, POSE.start] = degrees * np.sin(np.linspace(0, np.pi, frames))
    save_motion(MotionClip.from_values(values, MOTION_SPACES["face"], FPS), path)
    return path


@pytest.fixture(scope="module")
def couple(tmp_path_factory) -> Path:
    """Two drawn heads side by side, the left one larger."""
    portrait = read_image(demo.PORTRAIT)
    # Their sizes tell which comes first.
    large = cv2.resize(portrait, (320, 320), interpolation=cv2.INTER_AREA)
    small = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    picture = np.zeros((320, 576, 3), np.uint8)
    # The wall behind both.
    picture[:] = portrait[2, 2]
    picture[:, :320] = large
    picture[64:, 320:] = small
    path = tmp_path_factory.mktemp("couple") / "couple.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    return path


def animate(couple: Path, checkpoint: Path, *words: object) -> None:
    arguments = ["-s", couple, "--checkpoint", checkpoint, "--detector", "haar"]
    arguments += ["--face", "all", "--compilation-cache", "none", *words]
    sys.argv = ["infer", *map(str, arguments)]
    main()


def frames_of(path: Path) -> np.ndarray:
    return np.stack([picture for _, picture in VideoReader(path)]).astype(int)


def change(frames: np.ndarray, frame: int, columns: slice) -> float:
    """Return how far a frame's columns are from those of the first frame."""
    return float(np.abs(frames[frame] - frames[0])[:, columns].mean())


LEFT = slice(60, 260)
RIGHT = slice(370, 530)


def test_every_face_moves_by_its_own_file(couple, tmp_path, capsys):
    output = tmp_path / "clip.mp4"
    first = nod(tmp_path / "first.safetensors", 4)
    # The second face stays as it is, and its clip is longer.
    still = nod(tmp_path / "still.safetensors", 6, degrees=0)
    files = ["-d", first, "--other-driving", still]
    animate(couple, demo.CHECKPOINT, *files, "-o", output, "--crf", 0)
    assert "2 faces found, and animated: each by a file" in capsys.readouterr().err
    frames = frames_of(output)
    assert len(frames) == 6
    assert change(frames, 2, LEFT) > 2
    assert change(frames, 2, RIGHT) < 0.5


def test_one_file_moves_all_faces(couple, tmp_path, capsys):
    output = tmp_path / "clip.mp4"
    motion = nod(tmp_path / "nod.safetensors", 4)
    animate(couple, demo.CHECKPOINT, "-d", motion, "-o", output, "--crf", 0)
    # A line says how many move, and by what.
    assert "2 faces found, and animated: all by the same" in capsys.readouterr().err
    frames = frames_of(output)
    assert change(frames, 2, LEFT) > 2
    assert change(frames, 2, RIGHT) > 2


def test_voices_are_heard_together(couple, tmp_path, voice, tiny_checkpoint):
    for name, seconds in (("a", 1.0), ("b", 0.5)):
        samples = voice[: int(16_000 * seconds)]
        write_wave(tmp_path / f"{name}.wav", samples)
    output = tmp_path / "clip.mp4"
    voices = ["-d", tmp_path / "a.wav", "--other-driving", tmp_path / "b.wav"]
    options = ["--steps", 2, "--output-fps", 5, "-o", output]
    animate(couple, tiny_checkpoint, *voices, *options)
    # The longer voice decides.
    sound = Audio.open(output, allow_video=True)
    assert sound.duration == pytest.approx(1.0, abs=0.1)
    assert len(frames_of(output)) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--other-driving", "NOD", "NOD"], "3 driving files and 2 faces"),
        (["--template-out", "a.safetensors"], "template_out is for one face"),
        (["--side-by-side"], "side_by_side is for one face"),
        (["--box", "0,0,9,9"], "box is for one face"),
        (["--face", "0", "--other-driving", "NOD"], "pass --face all"),
        (["--other-driving", "no.wav"], "no.wav does not exist"),
        (["--face", "-1"], "face is -1: it must be 0 or more"),
    ],
)
def test_faces_that_cannot_be_are_named(couple, tmp_path, capsys, words, message):
    motion = nod(tmp_path / "nod.safetensors", 4)
    words = [motion if word == "NOD" else word for word in words]
    with pytest.raises(SystemExit) as stop:
        animate(couple, demo.CHECKPOINT, "-d", motion, "-o", tmp_path / "a.mp4", *words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert not (tmp_path / "a.mp4").exists()
