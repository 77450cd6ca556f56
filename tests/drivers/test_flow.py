"""The flow transformer over whole clips: seed, guidance, one program a plan."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    open_checkpoint,
    save_untrained,
)
from jaxportrait.checkpoint.kinds import DRIVERS
from jaxportrait.drivers.base import frame_count
from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.drivers.flow_program import sample_motion
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.drivers.windows import plan_windows, plans_up_to
from jaxportrait.media.audio import Audio
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.motion import MotionConfig
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from tests.drivers.flows import CONFIG, small_transformer


@pytest.fixture(scope="module")
def network():
    return small_transformer()


@pytest.fixture(scope="module")
def driver(tiny_checkpoint, network) -> FlowDriver:
    """The tiny checkpoint's driver, with a transformer that is not silent."""
    driver = load_driver(open_checkpoint(tiny_checkpoint))
    assert isinstance(driver, FlowDriver)
    return replace(driver, network=network, sampling=MotionSampling(steps=2))


@pytest.fixture(scope="module")
def sound(voice) -> Audio:
    return Audio.from_samples(voice, 16_000)


def sample(
    network, frames: int, *, mode="fused", group=4, seed=0, scale=4.5, steps=3
) -> np.ndarray:
    plan, count = plan_windows(frames, CONFIG, mode, group=group)
    length = plan.features_of(count)
    features = np.zeros((plan.features, CONFIG.audio_width), np.float32)
    values = np.random.default_rng(5).normal(size=(5000, CONFIG.audio_width))
    features[:length] = values[:length]
    motion = sample_motion(
        network,
        MotionStatistics(jnp.full(18, 0.5), jnp.full(18, 2.0)),
        jnp.asarray(features),
        jax.random.key(seed),
        jnp.asarray(count),
        jnp.asarray(scale, jnp.float32),
        plan=plan,
        steps=steps,
        guided=scale > 1,
    )
    return np.asarray(motion)[:frames]


def test_a_single_window_is_the_same_in_both_modes(network):
    np.testing.assert_allclose(
        sample(network, 30), sample(network, 30, mode="independent"), atol=1e-6
    )


def test_the_size_of_groups_does_not_matter(network):
    np.testing.assert_allclose(
        sample(network, 130, group=4), sample(network, 130, group=16), atol=2e-5
    )


def test_the_seed_decides(network):
    motion = sample(network, 60, seed=7)
    np.testing.assert_array_equal(sample(network, 60, seed=7), motion)
    assert np.abs(motion - sample(network, 60, seed=8)).mean() > 0.1


def test_independent_windows_do_not_depend_on_later_sound(network):
    long = sample(network, 300, mode="independent")
    short = sample(network, 60, mode="independent")
    np.testing.assert_allclose(long[:60], short, atol=2e-5)


def test_fused_windows_pass_on_later_sound_through_their_overlap(network):
    """Later windows change the frames that the first one shares with the second."""
    long = sample(network, 300)
    short = sample(network, 30)
    assert np.abs(long[15:30] - short[15:30]).max() > 1e-3


def test_guidance_of_one_is_the_conditional_velocity(network):
    conditional = sample(network, 45, scale=1.0)
    np.testing.assert_allclose(
        conditional, sample(network, 45, scale=1.0 + 1e-6), atol=1e-4
    )
    assert np.abs(conditional - sample(network, 45, scale=4.5)).max() > 1e-3


def test_clips_of_one_plan_share_a_program(network):
    sample(network, 61)
    # The seed and the scale are inputs of the program, not part of it.
    before = sample_motion._cache_size()
    for frames in (62, 70, 75):
        sample(network, frames)
    sample(network, 75, seed=9, scale=3.0)
    assert sample_motion._cache_size() == before


def test_a_clip_has_the_motion_that_is_sampled(driver, sound):
    clip = driver.make(sound, seed=4)
    motion = driver.sample(driver.encode(sound, 60), 60, seed=4)
    assert (len(clip), clip.fps, driver.latency) == (60, 30, np.inf)
    lips = clip.expression.reshape(60, -1)[:, list(MOTION_SPACES["lip"].columns)]
    np.testing.assert_array_equal(lips, motion)
    assert np.abs(motion).max() > 0


def test_a_driver_of_lips_leaves_the_rest_to_the_source(driver, sound):
    clip = driver.make(sound, seed=0)
    assert not driver.moves_head
    assert clip.rotation is clip.translation is clip.scale is None
    # Columns of the expression that are not the lips'.
    others = np.setdiff1d(np.arange(63), MOTION_SPACES["lip"].columns)
    assert not clip.expression.reshape(60, -1)[:, others].any()


def test_silence_follows_a_clip(driver, voice):
    sound = Audio.from_samples(voice[:12_000], 16_000)
    padded = Audio.from_samples(np.pad(voice[:12_000], (0, 12_000)), 16_000)
    clip = driver.make(sound, seed=0, frames=40)
    expected = driver.make(padded, seed=0, frames=40)
    np.testing.assert_allclose(clip.expression, expected.expression, atol=1e-5)


def test_the_guidance_of_a_sampling_comes_before_the_checkpoints(driver):
    assert driver.guidance == 4.5
    stronger = replace(driver, sampling=MotionSampling(cfg_scale=6.0))
    assert stronger.guidance == 6.0


def test_warming_up_compiles_every_plan(driver, sound):
    # No other test compiles five steps.
    driver = replace(driver, sampling=MotionSampling(steps=5))
    before = sample_motion._cache_size()
    driver.warm_up(60)
    compiled = sample_motion._cache_size()
    assert compiled - before == len(plans_up_to(60, CONFIG))
    for frames in (12, 40, 60):
        driver.make(sound, seed=1, frames=frames)
    assert sample_motion._cache_size() == compiled


def test_a_clip_has_a_frame_for_all_of_its_sound():
    counts = [frame_count(seconds, 30) for seconds in (0.001, 0.05, 1.0, 2.01)]
    assert counts == [1, 2, 30, 61]


def test_a_driver_of_an_unknown_kind_is_refused(tiny_checkpoint):
    assert set(DRIVERS) == {"diffusion", "ditto", "flow"}
    with pytest.raises(ValueError, match="choose one of diffusion, ditto, flow"):
        load_driver(open_checkpoint(tiny_checkpoint), "wave")


def test_one_of_several_drivers_is_loaded_by_its_name(tiny_checkpoint):
    checkpoint = open_checkpoint(tiny_checkpoint)
    entry = checkpoint.driver()
    drivers = {}
    for name, scale in (("soft", 2.0), ("strong", 6.0)):
        config = replace(entry.config, cfg_scale=scale)
        drivers[name] = replace(entry, config=config)
    contents = replace(checkpoint.contents, drivers=drivers)
    checkpoint = replace(checkpoint, contents=contents)
    for name, scale in (("soft", 2.0), ("strong", 6.0)):
        driver = load_driver(checkpoint, name)
        assert isinstance(driver, FlowDriver)
        assert driver.guidance == scale
    # A kind names the only driver of a checkpoint, not one of two.
    with pytest.raises(CheckpointError, match="soft"):
        load_driver(checkpoint, "flow")


def test_a_checkpoint_without_a_flow_transformer_is_named(tmp_path):
    path = tmp_path / "features"
    save_untrained(
        path,
        Contents(parts={"log_mel": LogMelConfig(), "motion": MotionConfig.tiny()}),
    )
    with pytest.raises(CheckpointError, match="holds no driver"):
        load_driver(open_checkpoint(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0: it must be from 1 to 1000"),
        ({"cfg_scale": float("nan")}, "cfg_scale is nan: it must be from -100 to 100"),
        ({"windows": "Fused"}, "choose one of fused, independent"),
    ],
)
def test_samplings_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MotionSampling(**options)
