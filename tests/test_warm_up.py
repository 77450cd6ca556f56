"""Programs that are compiled before a clip, so that it compiles nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait import Animator
from jaxportrait.animation import Retargeting, Sampling
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.audio import Audio
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face
from jaxportrait.media.paste import color_correction
from tests.animators import QUICK, open_animator


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    return open_animator(tiny_checkpoint, batch_size=4)


@contextmanager
def expect_no_compilation() -> Iterator[None]:
    # JAX reports every compilation as a timed event.
    events = []

    def count(event: str, *_, **__) -> None:
        events.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert not [event for event in events if "compile" in event]


def test_a_second_clip_compiles_nothing(animator, portrait, voice):
    prepared = animator.prepare(portrait)
    sound = Audio.from_samples(voice, 16_000)
    list(animator.animate(prepared, sound, sampling=QUICK))
    # Another length and another seed, of the same plan of windows.
    shorter = Audio.from_samples(voice[:25_000], 16_000)
    with expect_no_compilation():
        list(animator.animate(prepared, shorter, sampling=Sampling(seed=5, steps=2)))


@pytest.mark.parametrize(
    ("seconds", "fps", "sampling", "retargeting"),
    [
        (5.0, 2.0, Sampling(steps=3), Retargeting(stitching=True)),
        (
            1.0,
            60.0,
            Sampling(steps=3, cfg_scale=1.0, windows="independent"),
            Retargeting("original"),
        ),
    ],
)
def test_after_warming_up_a_first_clip_compiles_nothing(
    tiny_checkpoint, portrait, voice, seconds, fps, sampling, retargeting
):
    # Programs of earlier tests must not hide a compilation.
    jax.clear_caches()
    options = {"sampling": sampling, "retargeting": retargeting, "output_fps": fps}
    fresh = open_animator(tiny_checkpoint, batch_size=3)
    fresh.warm_up(seconds, **options)
    with expect_no_compilation():
        # The longest clip, and one of half its length.
        for part in (1, 2):
            samples = np.resize(voice, round(16_000 * seconds / part))
            clip = Audio.from_samples(samples, 16_000)
            list(fresh.animate(portrait, clip, **options))


def find_in_the_middle(picture: np.ndarray) -> list[Face]:
    """A face that covers a third of the picture."""
    height, width = picture.shape[:2]
    hull = FaceRectangle((width / 2, height / 2), width / 3, 0.0)
    return [Face((0, 0, width, height), 1.0, hull)]


def open_tight(checkpoint: Path) -> Animator:
    """An animator of networks that were trained on tight crops."""
    opened = open_checkpoint(checkpoint)
    crop = replace(opened.crop, zoom=1.35)
    opened = replace(opened, contents=replace(opened.contents, crop=crop))
    detector = Detector("middle", find_in_the_middle)
    return Animator(opened, batch_size=3, detector=detector)


def test_a_tight_crop_keeps_its_colors_and_compiles_nothing_after_warming_up(
    tiny_checkpoint, portrait, voice
):
    jax.clear_caches()
    audio = Audio.from_samples(voice, 16_000)
    tight = open_tight(tiny_checkpoint)
    tight.warm_up(audio.duration, sampling=QUICK)
    with expect_no_compilation():
        prepared = tight.prepare(portrait)
        list(tight.animate(prepared, audio, sampling=QUICK))
    mobility = np.asarray(prepared.source.mobility)[0]
    border = [mobility[0], mobility[-1], mobility[:, 0], mobility[:, -1]]
    assert_array_equal(border, 0)
    # The unmoved frame is as far from the crop as before, without its correction.
    keypoints = np.asarray(prepared.source.keypoints)
    rest = next(tight.renderer.frames(prepared.source, keypoints))[0]
    corrected = np.clip(rest + color_correction(prepared.crop, rest), 0, 255)
    expected = blurred(prepared.crop)
    error = np.abs(blurred(rest) - expected).mean()
    assert np.abs(blurred(corrected) - expected).mean() < 0.5 * error


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture.astype(np.float32), (4, 4), interpolation=cv2.INTER_AREA)
