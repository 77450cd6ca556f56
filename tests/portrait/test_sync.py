"""Sound and picture of clips, measured in the written files: a click and what is seen
with it, at every usual rate."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait import Animator
from jaxportrait.animation import Retargeting, Sampling
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.driving import ClipOptions, DrivingPictures, open_driving
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import Detector
from jaxportrait.media.rates import exact_rate
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter
from tests.portrait.films import delay_sound, frames_of
from tests.portrait.test_video import find_face, nod

RATES = [23.976, 24, 25, 29.97, 30, 50, 60]
EVENT = 0.5
"""Seconds at which something is seen and heard."""
SECONDS = 0.8
RATE = 16_000


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    detector = Detector("middle", find_face)
    return Animator(open_checkpoint(tiny_checkpoint), detector=detector, batch_size=8)


def click(start: float = 0.0) -> np.ndarray:
    """A tone from the event on, as heard in a file that begins at `start`."""
    count = round(RATE * (SECONDS - start))
    seconds = start + np.arange(count) / RATE
    tone = 0.5 * np.sin(2000 * seconds)
    return np.where(seconds >= EVENT, tone, 0.0)


def film_event(
    path: Path, portrait: np.ndarray, fps: float, audio: bool = True
) -> Path:
    """Write a portrait under a bar that turns white, and which moves aside then."""
    rate = exact_rate(fps)
    sound = Audio.from_samples(click(), RATE) if audio else None
    size = (portrait.shape[1], portrait.shape[0])
    with VideoWriter(path, size=size, fps=rate, audio=sound, crf=0) as writer:
        for frame in range(round(SECONDS * rate)):
            picture = portrait.copy()
            picture[:16] = 0
            if frame / rate >= EVENT:
                picture = np.roll(portrait, 25, axis=1)
                picture[:16] = 255
            writer.write(picture)
    return path


def heard(path: Path) -> float:
    """Return the seconds at which the click is heard."""
    audio = Audio.open(path, allow_video=True)
    samples = np.concatenate(list(audio.stream()))
    onset = np.argmax(np.abs(samples) > 0.2)
    return audio.start + onset / RATE


def seen(path: Path, rows: slice) -> float:
    """Return the seconds of the frame that differs most from the one before it."""
    times = [seconds for seconds, _ in VideoReader(path)]
    frames = frames_of(path)[:, rows].astype(int)
    change = np.abs(np.diff(frames, axis=0))
    step = change.mean(axis=(1, 2, 3)).argmax()
    # The first frame has none before it.
    return times[step + 1]


@pytest.mark.parametrize("fps", RATES)
def test_a_source_video_keeps_its_sound_in_sync(animator, portrait, tmp_path, fps):
    film = film_event(tmp_path / "film.mp4", portrait, fps)
    clip = animator.drive(film, nod(2)[1:], audio_priority="source")
    path = tmp_path / "clip.mp4"
    clip.save(path)
    assert VideoReader(path).fps == exact_rate(fps)
    # The bar lies outside of the face.
    assert seen(path, slice(0, 16)) == pytest.approx(EVENT, abs=1 / fps)
    assert heard(path) == pytest.approx(EVENT, abs=0.005)


@pytest.mark.parametrize("fps", RATES)
def test_a_driving_video_keeps_its_sound_in_sync(animator, portrait, tmp_path, fps):
    film = film_event(tmp_path / "film.mp4", portrait, fps)
    path = tmp_path / "clip.mp4"
    drive_by(animator, portrait, film).save(path)
    assert seen(path, slice(60, 200)) == pytest.approx(EVENT, abs=1 / fps)
    assert heard(path) == pytest.approx(EVENT, abs=0.005)


def drive_by(animator: Animator, portrait: np.ndarray, film: Path):
    driving = open_driving(film)
    assert isinstance(driving, DrivingPictures)
    prepared = animator.prepare(portrait)
    options = ClipOptions(Sampling(), Retargeting(), None)
    return driving.animate(animator, prepared, options)


@pytest.mark.parametrize("delay", [0.2, -0.2])
@pytest.mark.parametrize("role", ["source", "driving"])
def test_sound_that_starts_at_another_time_stays_in_sync(
    animator, portrait, tmp_path, role, delay
):
    mute = film_event(tmp_path / "mute.mp4", portrait, 25, audio=False)
    film = delay_sound(tmp_path / "film.mkv", mute, click(delay), delay)
    path = tmp_path / "clip.mp4"
    if role == "source":
        animator.drive(film, nod(2)[1:], audio_priority="source").save(path)
    else:
        drive_by(animator, portrait, film).save(path)
    assert seen(path, slice(0, 200)) == pytest.approx(EVENT, abs=1 / 25)
    assert heard(path) == pytest.approx(EVENT, abs=0.005)


def test_a_file_out_of_sync_is_measured(portrait, tmp_path):
    mute = film_event(tmp_path / "mute.mp4", portrait, 25, audio=False)
    late = delay_sound(tmp_path / "late.mkv", mute, click(), 0.1)
    # The first picture after the event is shown 0.02 s late.
    assert heard(late) - seen(late, slice(0, 16)) == pytest.approx(0.08, abs=0.01)
