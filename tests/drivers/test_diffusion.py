"""The diffusion transformer as a driver: lips on time, windows that agree, live sound."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import CheckpointError
from jaxportrait.drivers.base import frame_count
from jaxportrait.drivers.diffusion import (
    DiffusionDriver,
    DiffusionDriverConfig,
)
from jaxportrait.drivers.diffusion_sample import Guided
from jaxportrait.drivers.diffusion_windows import SeededNoise, count_windows
from jaxportrait.drivers.live import LiveWindowDriver
from jaxportrait.drivers.live_windows import Live
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.features.spectrogram import log_mel_features
from jaxportrait.features.waveform import hubert_features
from jaxportrait.media.audio import Audio
from jaxportrait.models.hubert import HubertConfig
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MotionStatistics
from jaxportrait.ranges import OptionError
from tests.drivers import contract
from tests.drivers.diffusions import (
    CONFIG,
    SPACE,
    CopyingDenoiser,
    LoudnessFeatures,
    driver_of,
    loudness,
    small_denoiser,
    statistics,
)
from tests.inputs import babble

FPS = 25
ORIGINAL = MotionSampling(windows="original")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return babble(2.27)


@pytest.fixture(scope="module")
def driver() -> DiffusionDriver:
    """A small denoiser over the log-mel spectrogram."""
    features = log_mel_features(build(LogMelConfig(8), rngs=nnx.Rngs(0)))
    return driver_of(small_denoiser(replace(CONFIG, audio_width=16)), features)


@pytest.fixture(scope="module")
def hubert_driver() -> DiffusionDriver:
    config = HubertConfig.tiny()
    features = hubert_features(build(config, rngs=nnx.Rngs(0)))
    network = small_denoiser(replace(CONFIG, audio_width=config.width))
    return driver_of(network, replace(features, hop=4, lookahead=4))


def audio_of(sound: np.ndarray) -> Audio:
    return Audio.from_samples(sound, 16_000)


def bursts(seconds: int) -> np.ndarray:
    """Return noise whose loudness changes at random from frame to frame."""
    random = np.random.default_rng(0)
    level = random.uniform(0, 0.5, seconds * FPS).astype(np.float32)
    noise = random.choice([-1.0, 1.0], seconds * 16_000).astype(np.float32)
    return noise * np.repeat(level, 16_000 // FPS)


def lag(values: np.ndarray, sound: np.ndarray) -> int:
    """Return by how many frames values follow the loudness of a sound."""
    level = loudness(sound, 16_000 // FPS)
    count = min(len(values), len(level)) - 10
    correlations = [
        np.corrcoef(values[shift : shift + count], level[:count])[0, 1]
        for shift in range(8)
    ]
    assert max(correlations) > 0.99
    return int(np.argmax(correlations))


@pytest.mark.parametrize(
    ("mode", "frames"), [("fused", 0), ("original", 2), ("live", 0)]
)
def test_motion_follows_its_sound_without_lag_but_in_the_original(mode, frames):
    sound = bursts(6)
    whole = driver_of(CopyingDenoiser.of_silence(), LoudnessFeatures())
    if mode == "original":
        whole = whole.with_sampling(ORIGINAL)
    driver = LiveWindowDriver(whole) if mode == "live" else whole
    clip = driver.make(audio_of(sound), seed=0)
    assert len(clip) == 6 * FPS
    assert lag(clip.scale[:, 0], sound) == frames


@pytest.mark.parametrize("samples", [1, 16_000, 36_320])
@pytest.mark.parametrize("windows", ["fused", "original"])
def test_motion_is_as_long_as_its_sound(driver, sound, samples, windows):
    driver = driver.with_sampling(MotionSampling(windows=windows))
    clip = driver.make(audio_of(sound[:samples]), seed=0)
    assert len(clip) == frame_count(samples / 16_000, FPS)
    longer = driver.make(audio_of(sound[:samples]), seed=0, frames=len(clip) + 9)
    assert len(longer) == len(clip) + 9


def test_a_clip_rests_in_the_silence_before_it():
    driver = driver_of(CopyingDenoiser.of_silence(), LoudnessFeatures())
    clip = driver.make(audio_of(bursts(2)), seed=0)
    silent = driver.denormalize(np.zeros((1, CONFIG.motion_width)))
    rest = SPACE.select(clip.rest.to_frames())
    np.testing.assert_allclose(rest, silent, atol=1e-5)
    assert np.abs(clip.expression[0] - clip.rest.expression[0]).max() > 1e-3


def seam_ratio(motion: np.ndarray, borders: np.ndarray) -> float:
    """Return the mean second difference at borders over that elsewhere."""
    bends = np.abs(np.diff(motion, n=2, axis=0)).mean(axis=1)
    inner = np.arange(1, len(motion) - 1)
    at_border = np.isin(inner, borders) | np.isin(inner + 1, borders)
    return float(bends[at_border].mean() / bends[~at_border].mean())


def test_fused_windows_leave_no_seam_and_original_ones_do():
    """Windows disagree, since each normalises its own sound."""
    frames = 30 * FPS
    audio = audio_of(babble(30))
    driver = driver_of(small_denoiser(replace(CONFIG, audio_width=1)), WindowLevel())
    fused = driver.sample_fused(audio, frames, seed=0)
    # A window begins at the start of what two of them share, and another ends after it.
    starts = np.arange(0, frames, CONFIG.motion_frames - CONFIG.overlap)
    seams = np.concatenate([starts, starts + CONFIG.overlap])
    assert seam_ratio(fused, seams) <= 1.2
    original, _ = driver.sample_original(audio, SeededNoise(jax.random.key(0), CONFIG))
    borders = np.arange(0, len(original), CONFIG.motion_frames)
    assert seam_ratio(original, borders) > 1.2


class WindowLevel(LoudnessFeatures):
    """Loudness over windows, to each of which a level of its own is added."""

    window = CONFIG.audio_frames

    def encode_windows(self, stream, hop, count):
        whole = self.encode(stream, hop * (count - 1) + self.window)
        levels = np.random.default_rng(0).normal(0, 3, count)
        for index, level in enumerate(levels):
            part = whole[index * hop : index * hop + self.window]
            yield (part + level).astype(np.float32)


def test_the_seed_decides_and_windows_have_noise_of_their_own(driver, sound):
    audio = audio_of(sound)
    first = driver.make(audio, seed=1)
    np.testing.assert_array_equal(
        driver.make(audio, seed=1).expression, first.expression
    )
    assert np.abs(driver.make(audio, seed=2).expression - first.expression).max() > 1e-3
    noise = SeededNoise(jax.random.key(1), CONFIG)
    np.testing.assert_array_equal(noise.initial(), noise.initial())
    assert np.abs(noise.fresh(0) - noise.fresh(1)).min() > 0


def test_guidance_changes_motion_and_one_is_the_prediction_with_sound(driver, sound):
    audio = audio_of(sound)

    def sample(scale: float) -> np.ndarray:
        guided = driver.with_sampling(MotionSampling(cfg_scale=scale))
        return guided.sample_fused(audio, 40, seed=0)

    np.testing.assert_allclose(sample(1.0), sample(1.0 + 1e-6), atol=1e-4)
    assert np.abs(sample(1.0) - sample(2.0)).max() > 1e-3


def test_without_sound_only_the_sound_of_the_window_is_missing(driver, sound):
    """Sound of the earlier frames stays, as in the original."""
    network = driver.network
    random = np.random.default_rng(0)
    earlier = jnp.asarray(
        random.normal(size=(1, CONFIG.earlier_frames, CONFIG.width)), jnp.float32
    )
    audio = jnp.asarray(
        random.normal(size=(1, CONFIG.motion_frames, CONFIG.width)), jnp.float32
    )
    expected = network.audio_terms(earlier, network.encode_null())
    terms = network.audio_terms(earlier, audio)
    without = Guided(network, 2.0, True).without_audio(terms)
    np.testing.assert_allclose(without, expected, atol=1e-6)


def test_options_that_the_driver_lacks_are_refused(driver):
    with pytest.raises(OptionError, match="'independent', which the diffusion"):
        driver.with_sampling(MotionSampling(windows="independent"))
    with pytest.raises(OptionError, match="steps is 11, and the diffusion has 10"):
        driver.with_sampling(MotionSampling(steps=11))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, 20),
        ({"windows": "original"}, 50),
        ({"steps": 4}, 4),
        ({"windows": "original", "steps": 4}, 4),
    ],
)
def test_only_original_windows_have_the_published_steps_by_default(
    driver, options, steps
):
    network = small_denoiser(replace(CONFIG, steps=50))
    whole = replace(driver, network=network)
    assert whole.with_sampling(MotionSampling(**options)).steps == steps
    # A diffusion of fewer steps has all of them.
    assert driver.steps == CONFIG.steps


@pytest.fixture(params=["driver", "hubert_driver"])
def live_driver(request) -> LiveWindowDriver:
    return LiveWindowDriver(request.getfixturevalue(request.param))


def test_any_cutting_of_a_live_sound_makes_the_same_frames(live_driver, sound):
    hop = round(live_driver.windows.stride / FPS * 16_000)
    contract.assert_any_cutting_makes_the_same_frames(live_driver, sound, hop)


def test_making_a_clip_is_the_live_mode(live_driver, sound):
    contract.assert_make_is_the_live_mode(live_driver, sound)


def test_frames_arrive_within_the_latency(live_driver, sound):
    contract.assert_frames_arrive_within_the_latency(live_driver, sound)
    assert live_driver.windows.stride == 10


def test_live_states_are_pytrees(live_driver, sound):
    contract.assert_states_are_pytrees(live_driver, sound)


def test_live_windows_shorter_than_the_earlier_frames_keep_the_contract(driver, sound):
    live = LiveWindowDriver(driver, Live(held=0.6, lookahead=0.12))
    assert live.windows.stride < CONFIG.earlier_frames
    contract.assert_any_cutting_makes_the_same_frames(live, sound, 1_280)


@pytest.mark.parametrize(("samples", "windows", "frames"), [(126_720, 2, 200)])
def test_windows_are_counted_as_the_original_rounds(samples, windows, frames):
    """Just over two windows, where whole numbers would count three."""
    assert count_windows(samples + 1920, 100, FPS) == (windows, frames)


def test_half_precision_stays_near_float32(driver, sound):
    half = nnx.merge(
        nnx.graphdef(
            build(driver.network.config, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
        ),
        nnx.state(driver.network),
    )
    audio = audio_of(sound)
    reference = driver.sample_fused(audio, 40, seed=0)
    with jax.numpy_dtype_promotion("standard"):
        motion = replace(driver, network=half).sample_fused(audio, 40, seed=0)
    assert np.abs(motion - reference).max() <= 0.03 * np.abs(reference).max()


PARTS = {"motion_diffusion": CONFIG, "hubert": HubertConfig(40, width=48)}


def test_a_driver_that_fits_its_parts_is_accepted():
    DiffusionDriverConfig().check(PARTS, statistics())
    # The published network makes three values more, which are not used.
    more = {**PARTS, "motion_diffusion": replace(CONFIG, motion_width=73)}
    DiffusionDriverConfig().check(more, statistics())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"motion_width": 69}, "makes 69 values a frame"),
        ({"earlier_frames": 11}, "11 earlier frames"),
        ({"audio_frames": 20}, "its fps is 25"),
        ({"audio_width": 47}, "reads 47"),
        ({"motion_frames": 30, "audio_frames": 60}, "windows of 40 features"),
    ],
)
def test_a_driver_that_does_not_fit_its_parts_is_refused(changes, message):
    parts = {**PARTS, "motion_diffusion": replace(CONFIG, **changes)}
    with pytest.raises(CheckpointError, match=message):
        DiffusionDriverConfig().check(parts, statistics())


def test_a_driver_without_its_statistics_is_refused():
    with pytest.raises(CheckpointError, match="pass statistics"):
        DiffusionDriverConfig().check(PARTS, None)
    short = MotionStatistics(np.zeros(18), np.ones(18))
    with pytest.raises(CheckpointError, match="70 values and the statistics 18"):
        DiffusionDriverConfig().check(PARTS, short)
