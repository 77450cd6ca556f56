"""Emotions in pictures: they show, as the difference from the motion without them."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from infer.serve.avatar import Avatar
from jaxportrait import Animator
from jaxportrait.animation import Animation, Retargeting, Sampling
from jaxportrait.media.audio import Audio
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics, neutral_frames
from jaxportrait.pipeline.rest import find_rest
from jaxportrait.portrait import Portrait
from tests.animators import QUICK, open_animator
from tests.drivers.flows import emotional_driver

STATISTICS = MotionStatistics(jnp.zeros(18), jnp.full(18, 0.05))
HAPPY = replace(QUICK, emotion="happy")


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    driver = emotional_driver(STATISTICS)
    return open_animator(tiny_checkpoint, batch_size=4, driver=driver)


@pytest.fixture(scope="module")
def face(animator, portrait) -> Portrait:
    return animator.prepare(portrait)


@pytest.fixture(scope="module")
def audio(voice) -> Audio:
    return Audio.from_samples(voice[:16_000], 16_000)


def still_head() -> MotionClip:
    """Return motion of a head that stands still."""
    return MotionClip.from_values(neutral_frames(4), MOTION_SPACES["face"], 30)


def with_rest_of(
    animator: Animator, face: Portrait, happy: Animation, plain: Animation
) -> np.ndarray:
    """Return the keypoints of an emotional clip that counts from a plain one's rest."""
    renderer = animator.renderer
    still = replace(plain.motion, neutral=None)
    rest = find_rest(still, "mixed", renderer.keypoint_groups)
    assert rest is not None
    motion = replace(happy.motion, neutral=None)
    return face.keypoints(renderer, motion, rest, Retargeting())


@pytest.mark.parametrize(
    "options",
    [{}, {"output_fps": 25}, {"natural": True}, {"head": still_head()}],
    ids=["plain", "rate", "natural", "head"],
)
def test_an_emotion_counts_from_the_motion_without_it(animator, face, audio, options):
    options = dict(options)
    natural = options.pop("natural", False)
    happy, plain = (
        animator.animate(
            face, audio, sampling=replace(sampling, natural_motion=natural), **options
        )
        for sampling in (HAPPY, QUICK)
    )
    expected = with_rest_of(animator, face, happy, plain)
    np.testing.assert_allclose(happy.keypoints, expected, atol=2e-5)
    # The known-bad case: motion that counts from its own rest.
    flat = with_rest_of(animator, face, happy, happy)
    assert np.abs(flat - expected).max() > 1e-3


def test_the_stronger_an_emotion_the_more_it_shows(animator, face, audio):
    def keypoints(sampling: Sampling) -> np.ndarray:
        return animator.animate(face, audio, sampling=sampling).keypoints

    plain = keypoints(QUICK)
    changes = [
        np.abs(keypoints(replace(HAPPY, emotion_strength=strength)) - plain).mean()
        for strength in (0.0, 0.5, 1.5)
    ]
    assert changes[0] < 1e-5
    assert 1e-4 < changes[1] < changes[2]


def test_live_frames_show_an_emotion_from_the_first_one_on(animator, face, voice):
    def first_frame(sampling: Sampling) -> np.ndarray:
        avatar = Avatar.open(animator, face, sampling)
        silence = np.zeros(round(avatar.latency * 16_000), np.float32)
        return next(avatar.start(3).feed(silence)).picture.astype(int)

    plain = first_frame(QUICK)
    happy = first_frame(HAPPY)
    none = first_frame(replace(HAPPY, emotion_strength=0.0))
    assert np.abs(none - plain).max() <= 1
    assert np.abs(happy - plain).mean() > 0.05
