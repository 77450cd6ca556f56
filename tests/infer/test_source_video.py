"""The program with a video as its source."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.file import save_motion
from tests.infer.files import cut, no_audio
from tests.infer.program import run
from tests.portrait.films import film_portrait, frames_of
from tests.portrait.test_video import nod

FPS = 10


@pytest.fixture
def film(tmp_path, portrait, voice) -> Path:
    """A second of a portrait that moves, with its sound."""
    audio = Audio.from_samples(voice[:16_000], 16_000)
    return film_portrait(tmp_path / "film.mp4", portrait, FPS, FPS, audio)


def test_a_video_is_lip_synced(inputs, film, capsys):
    run(inputs, "--crf", "0", **{"-s": film})
    assert "only the mouth of the source video" in capsys.readouterr().err
    clip = inputs["-o"] / "film--voice.mp4"
    assert VideoReader(clip).fps == FPS
    frames = frames_of(clip).astype(int)
    source = frames_of(film)
    assert frames.shape == source.shape
    # Eyes and hair are those of the video, but for the rounding of colours.
    error = frames[:, :140] - source[:, :140]
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 45
    assert np.abs(frames[:, 160:220, 100:150] - source[:, 160:220, 100:150]).mean() > 1


def test_the_sound_of_either_video_is_chosen(inputs, film, tmp_path):
    motion = tmp_path / "nod.safetensors"
    save_motion(nod(5), motion)
    run(
        inputs,
        "--template-out",
        str(tmp_path / "a.safetensors"),
        sampled=False,
        **{"-s": film, "-d": motion},
    )
    clip = inputs["-o"] / "film--nod.mp4"
    assert len(frames_of(clip)) == 5
    # A file of motion has no sound, and the source's is kept.
    assert Audio.open(clip, allow_video=True).duration == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--audio-priority", "source"], "audio_priority chooses between the sounds"),
        (["--region", "eyes"], "lip_sync moves only lips, and region is 'eyes'"),
        (["--composition", "original"], "is for pictures, and the source is a video"),
        (["--driving-option", "expression-friendly"], "scales the motion of pictures"),
        (["--warmup"], "--warmup compiles what clips of pictures need"),
        (["--head-from", "nod"], "lip_sync leaves the head to the source video"),
    ],
)
def test_options_without_a_meaning_are_refused_before_the_work(
    inputs, film, tmp_path, capsys, options, message
):
    save_motion(nod(3), tmp_path / "nod")
    words = [str(tmp_path / word) if word == "nod" else word for word in options]
    with pytest.raises(SystemExit) as stop:
        run(inputs, *words, **{"-s": film})
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "loading" not in error


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--lip-sync", "and the source is a picture"),
        ("--source-video-eye-retargeting", "is for source videos"),
    ],
)
def test_options_of_videos_are_refused_for_pictures(inputs, capsys, option, message):
    with pytest.raises(SystemExit) as stop:
        run(inputs, option)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_truncated_video_is_named(inputs, film, tmp_path, capsys):
    path = cut(tmp_path / "cut.mp4", film)
    with pytest.raises(SystemExit) as stop:
        run(inputs, **{"-s": path})
    assert stop.value.code == 2
    assert "cut.mp4" in capsys.readouterr().err
    assert not inputs["-o"].exists()


def test_a_video_of_one_frame_is_played(inputs, tmp_path):
    run(inputs, **{"-s": no_audio(tmp_path / "one.mp4")})
    assert len(frames_of(inputs["-o"] / "one--voice.mp4")) == FPS
