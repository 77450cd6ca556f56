"""Emotions of the flow transformer: guidance of their own, without other programs."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.checkpoint import CheckpointError
from jaxportrait.drivers.flow import FlowDriver, FlowDriverConfig
from jaxportrait.drivers.flow_program import sample_live_window, sample_motion
from jaxportrait.drivers.integrate import Further, integrate
from jaxportrait.drivers.live import LiveWindowDriver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.drivers.windows import WindowPlan
from jaxportrait.media.audio import Audio
from jaxportrait.motion.space import MotionStatistics
from jaxportrait.ranges import OptionError
from tests.drivers import contract
from tests.drivers.flows import CONFIG, EMOTIONS, emotional_driver
from tests.inputs import babble

STATISTICS = MotionStatistics(jnp.full(18, 0.5), jnp.full(18, 2.0))
SAMPLING = MotionSampling(steps=2)
HAPPY = replace(SAMPLING, emotion="happy")


@pytest.fixture(scope="module")
def driver() -> FlowDriver:
    return emotional_driver(STATISTICS)


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return babble(1.3)


def values(driver: FlowDriver, sound: np.ndarray) -> np.ndarray:
    clip = driver.make(Audio.from_samples(sound, 16_000), seed=1)
    assert clip.expression is not None
    return clip.expression


def constant(params, motion, time, condition):
    """Return a velocity that is the condition itself."""
    return jnp.broadcast_to(condition[:, None, None], motion.shape)


@pytest.mark.parametrize(("guided", "expected"), [(True, 7.5), (False, 6.0)])
def test_two_guidances_add_up_as_in_instruct_pix2pix(guided, expected):
    # Velocities without sound, with it, and with emotion as well: 1, 2 and 4.
    further = Further(jnp.array([4.0]), jnp.asarray(2.0))
    motion = integrate(
        constant,
        None,
        jnp.zeros((3, 2)),
        jnp.array([2.0]),
        jnp.array([1.0]),
        jnp.asarray(1),
        2.5,
        plan=WindowPlan(1, 3, 5, 3, 1),
        steps=4,
        guided=guided,
        further=further,
    )
    # Guided, 1 + 2.5 (2 - 1) + 2 (4 - 2); without guidance, 2 + 2 (4 - 2).
    np.testing.assert_allclose(motion, expected, rtol=1e-6)


def test_an_emotion_changes_the_motion_and_no_strength_does_not(driver, sound):
    plain = values(driver, sound)
    happy = values(driver.with_sampling(HAPPY), sound)
    sad = values(driver.with_sampling(replace(SAMPLING, emotion="sad")), sound)
    assert np.abs(happy - plain).max() > 1e-3
    assert np.abs(happy - sad).max() > 1e-3
    none = driver.with_sampling(replace(HAPPY, emotion_strength=0.0))
    np.testing.assert_allclose(values(none, sound), plain, atol=1e-5)


def test_a_clip_with_an_emotion_comes_with_the_motion_without_it(driver, sound):
    audio = Audio.from_samples(sound, 16_000)
    plain = driver.make(audio, seed=1)
    clip = driver.with_sampling(HAPPY).make(audio, seed=1)
    contract.assert_close(clip.neutral, plain, 1e-5)
    assert plain.neutral is None
    # Without strength, there is nothing to compare.
    none = driver.with_sampling(replace(HAPPY, emotion_strength=0.0))
    assert none.make(audio, seed=1).neutral is None


def test_live_motion_with_an_emotion_rests_in_the_first_frame_without_it(driver, sound):
    plain = LiveWindowDriver(driver)
    live = LiveWindowDriver(driver.with_sampling(HAPPY))
    audio = Audio.from_samples(sound, 16_000)
    motion = plain.make(audio, seed=3)
    clip = live.make(audio, seed=3)
    for rest in (clip.rest, clip.neutral):
        contract.assert_close(rest, motion[:1], 1e-5)
    # The known-bad case: its own first frame shows the emotion.
    assert np.abs(clip.expression[0] - motion.expression[0]).max() > 1e-3
    assert motion.neutral is None
    # Later chunks know the same frame.
    state = live.start(3)
    for _ in range(2):
        clip, state = live.step(state, sound[: len(sound) // 2])
        contract.assert_close(clip.neutral, motion[:1], 1e-5)


def test_other_emotions_and_strengths_need_no_other_program(driver, sound):
    values(driver.with_sampling(HAPPY), sound)
    before = sample_motion._cache_size()
    for emotion, strength in (("sad", 1.0), ("happy", 0.5), ("sad", 2.0)):
        sampling = replace(SAMPLING, emotion=emotion, emotion_strength=strength)
        values(driver.with_sampling(sampling), sound)
    assert sample_motion._cache_size() == before


def test_live_sound_with_an_emotion_keeps_the_contract(driver, sound):
    live = LiveWindowDriver(driver.with_sampling(HAPPY))
    hop = round(live.windows.stride / live.fps * 16_000)
    contract.assert_any_cutting_makes_the_same_frames(live, sound, hop)
    # The emotion reaches live windows, whose program serves all of them.
    plain = contract.live_clip(LiveWindowDriver(driver), sound, hop)
    happy = contract.live_clip(live, sound, hop)
    assert np.abs(plain.expression - happy.expression).max() > 1e-3
    before = sample_live_window._cache_size()
    sad = driver.with_sampling(replace(SAMPLING, emotion="sad"))
    contract.live_clip(LiveWindowDriver(sad), sound, hop)
    assert sample_live_window._cache_size() == before


def test_an_unknown_emotion_is_refused_with_those_that_there_are(driver):
    with pytest.raises(OptionError, match="emotion is 'glad': choose one of happy, sa"):
        driver.with_sampling(replace(SAMPLING, emotion="glad"))
    plain = replace(driver, emotion_names=())
    with pytest.raises(OptionError, match="this driver has no emotions: leave it out"):
        plain.with_sampling(HAPPY)


def test_a_driver_names_as_many_emotions_as_its_transformer_knows():
    config = FlowDriverConfig(emotion_names=EMOTIONS, emotion_levels=(3, 3))
    config.check({"flow_transformer": replace(CONFIG, emotions=2)}, STATISTICS)
    with pytest.raises(CheckpointError, match="names 2 emotions and its transformer k"):
        config.check({"flow_transformer": CONFIG}, STATISTICS)
    # Strength 1 stands for a level, which each of them has.
    unleveled = replace(config, emotion_levels=(3,))
    with pytest.raises(CheckpointError, match="1 levels for 2 emotions"):
        unleveled.check({"flow_transformer": CONFIG}, STATISTICS)
