"""A converted model of JoyVASA talks: a clip from a picture and a recording."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert_weights.bundle import JOYVASA
from jaxportrait.animation import Sampling
from jaxportrait.checkpoint import open_checkpoint, save_checkpoint
from jaxportrait.job import Networks, Request, run_job
from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.pipeline.options import Retargeting
from tests.inputs import write_wave

SECONDS = 1.3


@pytest.fixture(scope="module")
def two_drivers(tiny_checkpoint, converted_joyvasa, tmp_path_factory) -> Path:
    """A tiny renderer with a flow transformer and the small model of JoyVASA."""
    base = open_checkpoint(tiny_checkpoint)
    contents = replace(
        base.contents,
        parts={**base.parts, **converted_joyvasa.configs},
        drivers={**base.drivers, **converted_joyvasa.drivers},
    )
    leaves = {part: base.leaves(part) for part in base.parts}
    path = tmp_path_factory.mktemp("joyvasa") / "both"
    save_checkpoint(path, contents, {**leaves, **converted_joyvasa.params})
    return path


@pytest.fixture
def request_of_a_clip(tmp_path, portrait, voice) -> Request:
    cv2.imwrite(str(tmp_path / "face.png"), portrait[..., ::-1])
    write_wave(tmp_path / "voice.wav", voice[: int(SECONDS * 16_000)])
    return Request(tmp_path / "face.png", tmp_path / "voice.wav", tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    ("driver", "output_fps", "frames"),
    # By default, a clip has its driver's own rate.
    [(JOYVASA, None, 33), (JOYVASA, 30.0, 39)],
)
def test_a_clip_is_as_long_as_its_sound_at_every_rate(
    two_drivers, request_of_a_clip, driver, output_fps, frames
):
    request = replace(
        request_of_a_clip, output_fps=output_fps, sampling=Sampling(steps=2)
    )
    clip = run_job(request, Networks(two_drivers, driver=driver, detector="none"))
    pictures = list(VideoReader(clip.path))
    assert len(pictures) == frames
    rate = 25 if (driver, output_fps) == (JOYVASA, None) else 30
    assert clip.seconds == pytest.approx(frames / rate)
    sound = Audio.open(clip.path, allow_video=True)
    assert sound.duration == pytest.approx(SECONDS, abs=0.05)


def test_the_published_behaviour_is_a_set_of_options(two_drivers, request_of_a_clip):
    networks = Networks(two_drivers, driver=JOYVASA, detector="none")
    published = replace(
        request_of_a_clip,
        sampling=Sampling(windows="original"),
        retargeting=Retargeting("joyvasa", head_smoothing=4.0),
    )
    clip = run_job(published, networks)
    pictures = np.stack([picture for _, picture in VideoReader(clip.path)])
    assert len(pictures) == 33
    # Something moves.
    assert np.ptp(pictures.astype(int), axis=0).max() > 3
