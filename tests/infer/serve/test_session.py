"""Sessions without sockets: sound in, frames out."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from infer.serve.avatar import Avatar, LiveOptions, live_driver
from infer.serve.session import Session
from jaxportrait.animation import Retargeting, Sampling
from jaxportrait.animator import Animator
from jaxportrait.job.stages import COMPILE_EVENTS
from jaxportrait.media.audio import Audio
from tests.drivers.sine_driver import SineDriver
from tests.inputs import babble

SMOOTH = Retargeting(head_smoothing=0.5)


def pictures_of(session: Session, sound: np.ndarray, chunk: int) -> list[np.ndarray]:
    """Return all frames of a sound in chunks, whose numbers and times follow each
    other."""
    frames = []
    for start in range(0, len(sound), chunk):
        frames += session.feed(sound[start : start + chunk])
    frames += session.finish()
    pictures = []
    for index, frame in enumerate(frames):
        assert frame.index == index
        assert frame.time == index / session.fps
        pictures.append(frame.picture)
    return pictures


def whole_clip(avatar: Avatar, sound: np.ndarray) -> list[np.ndarray]:
    """Return the frames of a sound as one clip of the library."""
    motion = avatar.driver.make(Audio.from_samples(sound, 16_000), seed=3)
    count = -(-len(sound) * 25 // 16_000)
    motion = motion.resample(25, count)
    renderer = avatar.animator.renderer
    keypoints = avatar.portrait.keypoints(renderer, motion, "first", avatar.retargeting)
    return list(avatar.portrait.frames(renderer, keypoints, lambda frame: frame))


@pytest.mark.parametrize("retargeting", [Retargeting(), SMOOTH])
def test_any_cutting_makes_the_frames_of_the_whole_clip(avatar, retargeting):
    avatar = replace(avatar, retargeting=retargeting)
    sound = babble(0.9)
    expected = whole_clip(avatar, sound)
    assert len(expected) == 23
    for chunk in (777, len(sound)):
        frames = pictures_of(avatar.start(3), sound, chunk)
        assert len(frames) == len(expected)
        for frame, picture in zip(frames, expected, strict=True):
            # A level of 256: chunks of other sizes may round otherwise.
            assert np.abs(frame.astype(int) - picture).max() <= 1


def test_frames_come_before_the_sound_ends(avatar):
    session = avatar.start(0)
    sound = babble(2.0)
    count = round(avatar.latency * 16_000)
    assert 0 < avatar.latency < 0.7
    frames = list(session.feed(sound[:count]))
    # The first window's frames, of 30 a second.
    assert len(frames) == 7
    assert frames[0].picture.shape == (256, 256, 3)


def test_a_silent_face_moves(avatar):
    frames = list(avatar.start(0).feed(np.zeros(24_000, np.float32)))
    first = frames[0].picture.astype(int)
    last = frames[-1].picture
    # Levels of 256, over the whole picture.
    assert np.abs(last - first).mean() > 0.3


@pytest.mark.full
def test_a_driver_of_lips_blinks_and_turns(tiny_checkpoint, portrait):
    animator = Animator.from_checkpoint(tiny_checkpoint, detector="none")
    prepared = animator.prepare(portrait)
    avatar = Avatar.open(animator, prepared, Sampling(steps=1))
    assert not avatar.driver.moves_head
    silence = np.zeros(round(avatar.latency * 16_000), np.float32)
    still = replace(avatar, sampling=replace(avatar.sampling, natural_motion=False))
    live = list(avatar.start(1).feed(silence))
    rigid = list(still.start(1).feed(silence))
    # The first frame is the portrait in both, but for rounding.
    np.testing.assert_allclose(live[0].picture, rigid[0].picture, atol=2)
    change = live[-1].picture.astype(int) - rigid[-1].picture
    assert np.abs(change).mean() > 0.1


def test_a_new_session_compiles_nothing(avatar):
    compiled = []

    def note(event: str, duration_secs: float, **_) -> None:
        if event in COMPILE_EVENTS:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        pictures_of(avatar.start(7), babble(0.7), 1_000)
        assert compiled == []
        # What does compile is counted.
        jax.jit(lambda value: value * 3)(np.float32(1))
        assert compiled != []
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def test_drivers_of_whole_clips_are_named():
    with pytest.raises(ValueError, match="SineDriver makes motion of whole clips"):
        live_driver(SineDriver(), LiveOptions())


def test_a_live_driver_needs_no_windows():
    driver = SimpleNamespace(step=None)
    assert live_driver(driver, LiveOptions()) is driver
    with pytest.raises(ValueError, match="no live windows: leave out held"):
        live_driver(driver, LiveOptions(held=0.3))


def test_options_without_meaning_are_refused(avatar):
    with pytest.raises(ValueError, match="live windows have a form of their own"):
        Avatar.open(avatar.animator, avatar.portrait, Sampling(windows="independent"))
    with pytest.raises(ValueError, match="the driver moves the head already"):
        Avatar.open(avatar.animator, avatar.portrait, Sampling(natural_motion=True))
    with pytest.raises(ValueError, match=r"lookahead is 0\.01 s"):
        Avatar.open(avatar.animator, avatar.portrait, live=LiveOptions(lookahead=0.01))
