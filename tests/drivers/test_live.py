"""Live sound: any cutting makes the same frames, and windows continue each other."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.drivers.flow import FlowDriver
from jaxportrait.drivers.flow_program import sample_live_window
from jaxportrait.drivers.live import LiveWindowDriver
from jaxportrait.drivers.live_windows import (
    Live,
    plan_live_windows,
    prefix_weights,
    sample_window,
)
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.drivers.windows import frame_noise
from jaxportrait.features.spectrogram import (
    encode_hop,
    log_mel_features,
    whisper_features,
)
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import build
from jaxportrait.models.whisper import WhisperConfig
from jaxportrait.motion.space import MOTION_SPACES, MotionStatistics
from tests.drivers import contract
from tests.drivers.flows import (
    CONFIG,
    AnalyticTransformer,
    CountingFeatures,
    small_transformer,
    towards,
)
from tests.inputs import babble

LIP = MOTION_SPACES["lip"]
STATISTICS = MotionStatistics(jnp.full(18, 0.5), jnp.full(18, 2.0))
WHISPER = WhisperConfig(mel_bins=80, context=50, width=16, heads=2, layers=1)
OFFSETS = np.random.default_rng(0).normal(0, 0.3, 256)
JOINS_WITHOUT_SEAM = 1.3


@pytest.fixture(scope="module")
def log_mel_driver() -> LiveWindowDriver:
    network = small_transformer(replace(CONFIG, audio_width=16))
    features = log_mel_features(build(LogMelConfig(8), rngs=nnx.Rngs(0)))
    driver = FlowDriver(
        network, LIP, STATISTICS, features, 4.5, MotionSampling(steps=3)
    )
    return LiveWindowDriver(driver)


@pytest.fixture(scope="module")
def whisper_driver(log_mel_driver) -> LiveWindowDriver:
    features = whisper_features(build(WHISPER, rngs=nnx.Rngs(0)))
    return replace(
        log_mel_driver, driver=replace(log_mel_driver.driver, features=features)
    )


@pytest.fixture(params=["log_mel_driver", "whisper_driver"])
def driver(request) -> LiveWindowDriver:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return babble(2.27)


def hop_samples(driver: LiveWindowDriver) -> int:
    """Return the samples between two windows."""
    seconds = driver.windows.stride / driver.fps
    return round(seconds * 16_000)


def test_any_cutting_of_a_live_sound_makes_the_same_frames(driver, sound):
    contract.assert_any_cutting_makes_the_same_frames(
        driver, sound, hop_samples(driver)
    )


@pytest.mark.parametrize("live", [Live(0.3, 0.1), Live(0.7, 0.2), Live(0.1, 0.8)])
def test_other_windows_keep_the_contract(log_mel_driver, sound, live):
    driver = replace(log_mel_driver, live=live)
    contract.assert_any_cutting_makes_the_same_frames(
        driver, sound, hop_samples(driver)
    )
    contract.assert_frames_arrive_within_the_latency(driver, sound)


@pytest.mark.parametrize("samples", [1, 5_000, 16_000])
def test_short_sounds_have_all_their_frames(log_mel_driver, sound, samples):
    contract.assert_any_cutting_makes_the_same_frames(
        log_mel_driver, sound[:samples], hop_samples(log_mel_driver)
    )


def test_making_a_clip_is_the_live_mode(driver, sound):
    contract.assert_make_is_the_live_mode(driver, sound)


def test_frames_arrive_within_the_latency(driver, sound):
    contract.assert_frames_arrive_within_the_latency(driver, sound)


def test_states_are_pytrees(driver, sound):
    contract.assert_states_are_pytrees(driver, sound)


def test_the_seed_decides_live_motion(log_mel_driver, sound):
    clips = []
    for seed in (1, 2):
        state = log_mel_driver.start(seed)
        clip, _ = log_mel_driver.step(state, sound)
        clips.append(clip.expression)
    assert np.abs(clips[0] - clips[1]).max() > 0.1


def test_sound_that_arrives_later_changes_no_frame(log_mel_driver, sound):
    first = contract.live_clip(log_mel_driver, sound, 16_000)
    other = np.concatenate([sound[:20_000], 0 * sound[20_000:]])
    second = contract.live_clip(log_mel_driver, other, 16_000)
    # Frames that were complete before the sound changed.
    waiting = int((20_000 / 16_000 - log_mel_driver.latency) * 30)
    contract.assert_close(second[:waiting], first[:waiting], 0)
    assert np.abs(second.expression[waiting:] - first.expression[waiting:]).max() > 1e-3


def test_live_sound_compiles_one_program_for_every_chunk_size(driver, sound):
    driver = replace(
        driver, driver=replace(driver.driver, sampling=MotionSampling(steps=2))
    )
    # The other features' driver may have compiled the window already.
    before = sample_live_window._cache_size()
    driver.warm_up(1)
    compiled = (sample_live_window._cache_size(), encode_hop._cache_size())
    assert compiled[0] <= before + 1
    for size in (500, 1_600, 20_000, len(sound)):
        contract.live_clip(driver, sound, size)
    assert (sample_live_window._cache_size(), encode_hop._cache_size()) == compiled


def analytic_motion(live: Live, seconds: int = 60) -> tuple[np.ndarray, int]:
    """Return one value of motion whose windows disagree, and the stride of windows."""
    windows = plan_live_windows(live, CONFIG, 30)
    offsets = jnp.asarray(OFFSETS, jnp.float32)
    network = AnalyticTransformer(offsets, jnp.asarray(windows.lead))
    statistics = MotionStatistics(jnp.zeros(18), jnp.ones(18))
    flow = FlowDriver(network, LIP, statistics, CountingFeatures(), 1.0)
    driver = LiveWindowDriver(flow, live)
    clip = contract.live_clip(driver, np.zeros(16_000 * seconds, np.float32), 8_000)
    return clip.expression[:, 6, 0], windows.stride


def seam_measure(motion: np.ndarray, stride: int) -> float:
    """Return the mean second difference at joins of windows over that elsewhere."""
    bends = np.abs(np.diff(motion, n=2))  # bends[i] is centred on frame i + 1
    inner = np.arange(1, motion.size - 1)
    joined = (inner % stride == 0) | ((inner + 1) % stride == 0)
    return float(bends[joined].mean() / bends[~joined].mean())


@pytest.mark.parametrize(
    "live", [Live(), Live(0.4, 0.2), Live(0.5, 0.1), Live(0.5, 0.07)]
)
def test_windows_that_disagree_leave_no_seam(live):
    motion, stride = analytic_motion(live)
    assert seam_measure(motion, stride) <= JOINS_WITHOUT_SEAM
    # A sine's deviation is 0.71, and offsets add to it.
    assert motion.std() > 0.7


def test_the_seam_measure_finds_windows_that_continue_nothing():
    """Cut the motion where windows meet, and shift each piece by its window's offset."""
    # As by default: of 30 frames, 15 are held and 6 are ahead.
    stride = 9
    frames = np.arange(60 * 30)
    wave = np.sin(2 * np.pi * frames / 10)
    offsets = np.resize(OFFSETS, 400)
    motion = wave + offsets[frames // stride]
    assert seam_measure(motion, stride) > JOINS_WITHOUT_SEAM


def sample_towards(
    live: Live, steps: int = 4
) -> tuple[dict[float, np.ndarray], np.ndarray, np.ndarray]:
    """Sample a window towards 9 that continues 5.

    Returns the states by time, the motion and the noise.
    """
    # The guided velocity is not needed: both conditions would be the target.
    windows = plan_live_windows(live, CONFIG, 30)
    noise = frame_noise(jax.random.key(0), 30, 1)
    states = {}

    def record(time, state):
        states[float(time)] = np.asarray(state)

    def velocity(params, motion, time, condition):
        jax.debug.callback(record, time[0], motion[0])
        return towards(params, motion, time, condition)

    program = partial(
        sample_window,
        velocity,
        None,
        plan=windows.plan,
        steps=steps,
        guided=False,
    )
    motion = jax.jit(program)(
        noise,
        jnp.full((1, 30, 1), 9.0),
        jnp.zeros((1, 30, 1)),
        jnp.full((30, 1), 5.0),
        jnp.asarray(prefix_weights(windows)),
        1.0,
    )
    # Callbacks run beside the program.
    jax.effects_barrier()
    return states, np.asarray(motion), np.asarray(noise)


def test_the_held_prefix_is_imposed_at_every_step():
    """Held frames are on the path from their noise to the emitted motion."""
    states, motion, noise = sample_towards(Live(0.5, 0.2))
    assert sorted(states) == [0, 0.25, 0.5, 0.75]
    for time, state in states.items():
        path = (1 - time) * noise[:15] + time * 5
        np.testing.assert_allclose(state[:15], path, atol=1e-6)
    np.testing.assert_array_equal(motion[:15], 5)


def test_new_frames_turn_from_the_earlier_motion_to_their_own():
    _, motion, _ = sample_towards(Live(0.5, 0.2))
    # Six frames of lookahead follow the held ones.
    turning = motion[15:21, 0]
    assert (np.diff(motion[14:22, 0]) > 0).all()
    # Midway from 5 to 9.
    assert turning[0] < 7 < turning[-1]
    np.testing.assert_allclose(motion[21:], 9, atol=1e-5)


def test_weights_fall_as_in_real_time_chunking():
    """Black et al. 2025, equation 5, with d = 15, H - s = 21."""
    weights = prefix_weights(plan_live_windows(Live(0.5, 0.2), CONFIG, 30))
    shares = np.arange(6, 0, -1) / 7
    expected = shares * (np.exp(shares) - 1) / (np.e - 1)
    np.testing.assert_array_equal(weights[:15], 1)
    np.testing.assert_allclose(weights[15:21], expected, rtol=1e-6)
    np.testing.assert_array_equal(weights[21:], 0)


def test_windows_meet_without_gap_or_overlap():
    windows = plan_live_windows(Live(0.4, 0.3), CONFIG, 30)
    assert (windows.held, windows.lookahead, windows.stride) == (12, 9, 9)
    # The lead lasts as long as the prefix before the sound.
    assert windows.start(0) == -12
    assert (windows.lead, windows.feature_start(0)) == (20, 0)
    # 20 of the lead, 40 up to frame 24, and the window's 50.
    assert windows.feature_stop(4) == windows.feature_start(4) + 50 == 110


@pytest.mark.parametrize(
    ("held", "lookahead", "message"),
    [
        (0.0, 0.2, "held is 0.0 s"),
        (0.5, -1.0, "lookahead is -1.0 s"),
        (0.5, float("inf"), "lookahead is inf s"),
        (0.01, 0.2, "hold a frame"),
        (0.5, 0.04, "at least 0.067 s ahead"),
        (0.7, 0.3, "leave at least one to emit"),
    ],
)
def test_windows_that_cannot_be_are_refused(log_mel_driver, held, lookahead, message):
    with pytest.raises(ValueError, match=message):
        replace(log_mel_driver, live=Live(held, lookahead))
