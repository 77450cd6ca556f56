"""Clips that are driven by a video, a template or a file of motion."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxportrait import demo
from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.file import load_motion, save_motion
from jaxportrait.motion.rotation import angles_of
from jaxportrait.motion.space import (
    MOTION_SPACES,
    POSE,
    KeypointGroups,
    neutral_frames,
)
from tests.infer.files import no_audio
from tests.infer.program import run

FPS = 10


def nod(frames: int) -> MotionClip:
    """Return a head that turns and comes back."""
    values = neutral_frames(frames)
    values[:, POSE.start] = 20 * np.sin(np.linspace(0, np.pi, frames))
    return MotionClip.from_values(values, MOTION_SPACES["face"], FPS)


def template_of(clip: MotionClip) -> bytes:
    fields = zip(
        clip.expression, clip.rotation, clip.translation, clip.scale, strict=True
    )
    motion = []
    for expression, rotation, translation, scale in fields:
        frame = {"exp": expression, "R": rotation, "t": translation, "scale": scale}
        motion.append({name: value[None] for name, value in frame.items()})
    return pickle.dumps({"n_frames": len(motion), "output_fps": FPS, "motion": motion})


def drive(inputs: dict, *more: str, **changed) -> None:
    run(inputs, *more, sampled=False, **changed)


def film(path: Path, portrait: np.ndarray, voice: np.ndarray | None) -> Path:
    """Write a second of a portrait that moves to the right."""
    audio = None if voice is None else Audio.from_samples(voice, 16_000)
    size = (portrait.shape[1], portrait.shape[0])
    with VideoWriter(path, size=size, fps=FPS, audio=audio) as writer:
        for frame in range(FPS):
            writer.write(np.roll(portrait, 3 * frame, axis=1))
    return path


def frames_of(path: Path) -> np.ndarray:
    return np.stack([picture for _, picture in VideoReader(path)])


@pytest.mark.parametrize("kind", ["template", "motion"])
def test_motion_of_a_file_drives(inputs, tmp_path, kind):
    path = tmp_path / "nod.bin"
    if kind == "template":
        path.write_bytes(template_of(nod(8)))
    else:
        save_motion(nod(8), path)
    drive(inputs, **{"-d": path})
    clip = inputs["-o"] / "face--nod.mp4"
    video = VideoReader(clip)
    assert video.fps == FPS
    frames = frames_of(clip).astype(int)
    assert len(frames) == 8
    # The head is back at the end, and away from there in the middle.
    assert (
        np.abs(frames[4] - frames[0]).mean() > 3 * np.abs(frames[7] - frames[0]).mean()
    )
    with pytest.raises(ValueError, match="has no audio stream"):
        Audio.open(clip, allow_video=True)


def test_a_video_drives_and_its_sound_is_kept(
    inputs, tmp_path, portrait, voice, capsys
):
    path = film(tmp_path / "talk.mp4", portrait, voice[:16_000])
    drive(inputs, **{"-d": path})
    printed = capsys.readouterr().err
    assert "talk.mp4 drives by its picture, and its sound is kept" in printed
    assert "reading the motion of the video" in printed
    clip = inputs["-o"] / "face--talk.mp4"
    assert len(frames_of(clip)) == FPS
    sound = Audio.open(clip, allow_video=True)
    assert sound.duration == pytest.approx(1.0, abs=0.05)


def test_the_motion_of_a_video_is_saved_and_drives_alike(
    inputs, tmp_path, portrait, capsys
):
    path = film(tmp_path / "mute.mp4", portrait, None)
    template = tmp_path / "motion.safetensors"
    drive(inputs, "--template-out", str(template), "--crf", "0", **{"-d": path})
    assert load_motion(template).fps == FPS
    drive(inputs, "--crf", "0", **{"-d": template})
    by_video = frames_of(inputs["-o"] / "face--mute.mp4")
    by_template = frames_of(inputs["-o"] / "face--motion.mp4")
    np.testing.assert_array_equal(by_video, by_template)
    # A file that could not be saved is named before the work.
    capsys.readouterr()
    with pytest.raises(SystemExit):
        drive(inputs, "--template-out", str(tmp_path / "a.pkl"), **{"-d": path})
    error = capsys.readouterr().err
    assert error.endswith("ends in '.pkl': motion ends in .safetensors\n")
    assert "loading" not in error


def test_a_video_without_sound_makes_a_silent_clip(inputs, tmp_path, portrait):
    path = film(tmp_path / "mute.mp4", portrait, None)
    drive(inputs, "--output-fps", "5", **{"-d": path})
    clip = inputs["-o"] / "face--mute.mp4"
    assert VideoReader(clip).fps == 5
    assert len(frames_of(clip)) == 5


def test_a_voice_speaks_over_the_head_of_a_file(inputs, tmp_path):
    path = tmp_path / "nod.safetensors"
    save_motion(nod(8), path)
    template = tmp_path / "both.safetensors"
    drive(inputs, "--head-from", str(path), "--template-out", str(template))
    both = load_motion(template)
    # The voice lasts a second at 30 frames a second, and the head goes to and fro.
    assert (len(both), both.fps) == (30, 30)
    pitch = angles_of(both.rotation)[:, 0]
    np.testing.assert_allclose(pitch[[0, 21]], angles_of(nod(8).rotation)[[0, 7], 0])
    lips = list(KeypointGroups().lips)
    assert np.abs(both.expression[:, lips]).max() > 0
    others = np.setdiff1d(np.arange(21), lips)
    assert not both.expression[:, others].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"-d": "nod"}, "only sound leaves the head to another file"),
        ({"--head-from": "voice"}, "is a sound: the head needs a video or a file"),
        ({"--head-strength": -1}, "head_strength is -1.0: it must be from 0 to 10"),
    ],
)
def test_heads_that_cannot_be_are_named(inputs, tmp_path, capsys, options, message):
    path = tmp_path / "nod.safetensors"
    save_motion(nod(8), path)
    files = {"nod": path, "voice": inputs["-d"]}
    words = {"--head-from": path}
    words |= {name: files.get(value, value) for name, value in options.items()}
    with pytest.raises(SystemExit) as stop:
        drive(inputs, **words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_the_region_limits_what_moves(inputs, tmp_path):
    path = tmp_path / "nod.safetensors"
    save_motion(nod(3), path)
    drive(inputs, "--region", "lips", **{"-d": path})
    # Differences of 8-bit values are negative, too.
    frames = frames_of(inputs["-o"] / "face--nod.mp4").astype(int)
    # A head that nods has no motion of the lips.
    assert np.abs(frames[1] - frames[0]).max() <= 2


def test_networks_without_a_driver_are_driven_by_motion(
    inputs, tmp_path, renderer_checkpoint
):
    path = tmp_path / "nod.safetensors"
    save_motion(nod(3), path)
    drive(inputs, **{"-d": path, "--checkpoint": renderer_checkpoint})
    assert (inputs["-o"] / "face--nod.mp4").is_file()


def test_sound_that_a_video_lacks_is_named(inputs, tmp_path, capsys):
    path = no_audio(tmp_path / "mute.mp4")
    with pytest.raises(SystemExit) as stop:
        drive(inputs, "--driving-kind", "audio", **{"-d": path})
    assert stop.value.code == 2
    assert "has no audio stream" in capsys.readouterr().err


def test_options_of_sampling_are_refused_where_nothing_is_sampled(
    inputs, tmp_path, capsys
):
    path = tmp_path / "nod.safetensors"
    save_motion(nod(3), path)
    with pytest.raises(SystemExit) as stop:
        drive(inputs, "--seed", "3", **{"-d": path})
    assert stop.value.code == 2
    assert "options of sampling are for sound" in capsys.readouterr().err


def test_openness_that_is_not_known_is_named(inputs, tmp_path, capsys):
    path = tmp_path / "nod.safetensors"
    save_motion(replace(nod(3), eyes=np.full((3, 2), 0.3, np.float32)), path)
    with pytest.raises(SystemExit) as stop:
        drive(inputs, "--eye-retargeting", **{"-d": path})
    assert stop.value.code == 2
    assert "of the source's eyes and lips is not known" in capsys.readouterr().err


def test_a_lip_driver_blinks_and_nods_on_request(inputs, tmp_path):
    template = tmp_path / "natural.safetensors"
    run(inputs, "--natural-motion", "--template-out", str(template))
    clip = load_motion(template)
    # Slight turns that a lip driver does not make by itself.
    assert 0.05 < np.ptp(angles_of(clip.rotation)) < 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--head-from": "nod"}, "another file moves the head already: leave out"),
        ({"--region": "lips"}, "only the region lips moves: leave out"),
        ({"-d": "nod"}, "options of sampling are for sound"),
        ({"--checkpoint": demo.CHECKPOINT}, "the driver moves the head already"),
    ],
)
def test_natural_motion_without_a_place_is_refused(
    inputs, tmp_path, capsys, options, message
):
    path = tmp_path / "nod.safetensors"
    save_motion(nod(8), path)
    words = {name: path if value == "nod" else value for name, value in options.items()}
    with pytest.raises(SystemExit) as stop:
        drive(inputs, "--natural-motion", **words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "loading" not in error
