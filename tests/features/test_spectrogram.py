"""Features from the spectrogram: whole clips in blocks, and live sounds hop by hop."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.features.blocks import samples_of
from jaxportrait.features.registry import FEATURES, load_features
from jaxportrait.features.spectrogram import (
    SpectrogramFeatures,
    encode_hop,
    log_mel_features,
    whisper_features,
)
from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import build
from jaxportrait.models.whisper import WhisperConfig
from jaxportrait.ops.spectrogram import mel_filters
from tests.features import contract

# Blocks of a second.
SHORT_CONTEXT = WhisperConfig(mel_bins=80, context=50, width=16, heads=2, layers=1)


@pytest.fixture(scope="module")
def whisper() -> SpectrogramFeatures:
    return whisper_features(build(SHORT_CONTEXT, rngs=nnx.Rngs(0)))


@pytest.fixture(scope="module")
def log_mels() -> SpectrogramFeatures:
    return log_mel_features(build(LogMelConfig(), rngs=nnx.Rngs(0)))


@pytest.fixture(params=["whisper", "log_mels"])
def features(request) -> SpectrogramFeatures:
    return request.getfixturevalue(request.param)


def noise(samples: int) -> np.ndarray:
    rng = np.random.default_rng(samples)
    clip = rng.normal(0, 0.1, samples)
    return clip.astype(np.float32)


def encode(
    features: SpectrogramFeatures, clip: np.ndarray, count: int | None = None
) -> np.ndarray:
    """Return a clip's own features, or `count` of them."""
    return features.encode(lambda: [clip], clip.size // 320 if count is None else count)


def numpy_levels(clip: np.ndarray, mel_bins: int = 80) -> np.ndarray:
    """Compute Whisper's log-mel frames in float64, before floor and scale."""
    padded = np.pad(clip.astype(np.float64), 200, mode="reflect")
    # The last frame, centred on the clip's end, is dropped.
    starts = 160 * np.arange(clip.size // 160)
    frames = padded[starts[:, None] + np.arange(400)] * np.hanning(401)[:-1]
    mel = np.abs(np.fft.rfft(frames)) ** 2 @ mel_filters(mel_bins)
    return np.log10(np.maximum(mel, 1e-10))


def numpy_features(clip: np.ndarray, mel_bins: int = 80) -> np.ndarray:
    """Compute pairs of frames of a whole clip's scaled spectrogram in float64."""
    levels = numpy_levels(clip, mel_bins)
    scaled = (np.maximum(levels, levels.max() - 8) + 4) / 4
    pairs = scaled[: len(scaled) // 2 * 2]
    return pairs.reshape(-1, 2 * mel_bins)


@pytest.mark.parametrize("samples", [3_200, 31_999, 32_160, 80_000])
def test_log_mel_features_are_pairs_of_frames(log_mels, samples):
    """Clips are shorter and longer than a block, and one has half a feature more."""
    clip = noise(samples)
    features = encode(log_mels, clip)
    assert features.shape == (samples // 320, 160)
    np.testing.assert_allclose(features, numpy_features(clip), atol=2e-5)


def test_fewer_mel_bins_make_narrower_features():
    clip = noise(8_000)
    features = log_mel_features(build(LogMelConfig(40), rngs=nnx.Rngs(0)))
    encoded = encode(features, clip)
    assert encoded.shape == (25, features.width)
    np.testing.assert_allclose(encoded, numpy_features(clip, 40), atol=2e-5)


def test_a_log_mel_feature_reads_35_milliseconds(log_mels):
    """Feature 50 is centred on samples 16 000 and 16 160, and reads 200 to each side.

    The maximum stays where it is.
    """
    clip = noise(32_000)
    clip[20_000:20_400] *= 10
    # The change stays below the maximum, and so leaves the floor as it is.
    changed = clip.copy()
    changed[15_960:16_000] = 0
    different = (encode(log_mels, clip) != encode(log_mels, changed)).any(axis=1)
    assert np.flatnonzero(different).tolist() == [49, 50]


def test_chunks_of_a_stream_do_not_matter(features):
    clip = noise(40_000)
    whole = encode(features, clip)
    assert whole.shape == (125, features.width)
    streamed = features.encode(lambda: iter(np.array_split(clip, 133)), 125)
    np.testing.assert_array_equal(streamed, whole)


def test_more_features_are_made_of_silence(features):
    clip = noise(10_000)
    silence = np.concatenate([clip, np.zeros(6_000, np.float32)])
    np.testing.assert_array_equal(encode(features, clip, 50), encode(features, silence))


def test_fewer_features_are_a_cut(features):
    clip = noise(40_000)
    np.testing.assert_array_equal(
        encode(features, clip, 50), encode(features, clip)[:50]
    )


def test_the_floor_is_that_of_the_whole_clip(features):
    """A loud second block changes the features of a quiet first one."""
    quiet = 1e-4 * noise(16_000)
    loud = noise(16_000)
    first = encode(features, quiet)
    joined = encode(features, np.concatenate([quiet, loud]))
    assert np.abs(first - joined[:50]).max() > 1e-2


def test_silence_is_legal(features):
    silence = np.zeros(16_000, np.float32)
    assert np.isfinite(encode(features, silence)).all()


def hop_samples(features: SpectrogramFeatures) -> int:
    return features.hop * 320


@pytest.mark.parametrize("samples", [150, 3_000, 40_003])
def test_any_cutting_of_a_live_sound_makes_the_same_features(features, samples):
    sound = noise(samples)
    contract.assert_any_cutting_makes_the_same_features(
        features, sound, hop_samples(features)
    )


def test_live_features_arrive_within_the_latency(features):
    contract.assert_features_arrive_within_the_latency(features, noise(40_000))


def test_a_live_feature_reads_its_context_only(features):
    sound = noise(48_000)
    contract.assert_a_live_feature_reads_its_context_only(features, sound, 16_000)


def test_states_of_live_features_are_pytrees(features):
    contract.assert_states_are_pytrees(features, noise(20_000))


def test_a_loud_live_sound_has_the_log_mel_features_of_the_clip(log_mels):
    """The maximum lies in the first hop, so that both have one floor."""
    sound = 1e-3 * noise(30_000)
    sound[:500] *= 1e4
    # The quiet rest lies below the floor in part.
    live = contract.live_features(log_mels, sound, 700, 93)
    np.testing.assert_allclose(live, encode(log_mels, sound), atol=1e-5)


def test_a_live_floor_rises_with_the_sound(log_mels):
    """Silence is floored at the quiet level first, then at the loud sound's maximum."""
    sound = np.zeros(48_000, np.float32)
    sound[16_000:32_000] = 20 * noise(16_000)
    live = contract.live_features(log_mels, sound, 16_000, 150)
    np.testing.assert_allclose(live[:45], (-8 + 4) / 4)
    assert (live[110:] > -0.9).all()
    np.testing.assert_allclose(live[110:], live[110, 0])


def test_live_whisper_reads_the_block_that_ends_now(whisper):
    """A feature is the one that a block of Whisper, cut off at the hop, has for it."""
    sound = 100 * noise(80_000)
    live = contract.live_features(whisper, sound, 1_000, 250)
    frames = numpy_levels(sound)
    # The hop of features 100 to 109 ends at feature 120, and the block starts at 70.
    running = max(0.0, frames[:240].max())
    block = (np.maximum(frames[140:240], running - 8) + 4) / 4
    encoded = whisper.network(jnp.asarray(block, jnp.float32)[None])[0]
    np.testing.assert_allclose(live[100:110], encoded[30:40], atol=2e-5)


def test_live_features_compile_one_program(features):
    contract.live_features(features, noise(20_000), 900, 62)
    # One program has been compiled; other sizes of chunks use it.
    before = encode_hop._cache_size()
    for size in (160, 4_001, 20_000):
        contract.live_features(features, noise(30_000), size, 90)
    assert encode_hop._cache_size() == before


def test_checkpoints_name_their_features(tiny_checkpoint):
    checkpoint = open_checkpoint(tiny_checkpoint)
    features = load_features(checkpoint)
    assert isinstance(features, SpectrogramFeatures)
    assert set(FEATURES) == {"hubert", "log_mel", "whisper"}
    assert features.width == checkpoint.sizes("flow_transformer").audio_width
    assert (features.rate, features.context) == (50, 30)


def test_products_are_full_float32_on_every_platform(tiny_checkpoint):
    """Accelerators round the factors of products that do not ask for more."""
    features = load_features(open_checkpoint(tiny_checkpoint))
    samples = np.zeros((1, samples_of(2 * features.hop)), np.float32)
    program = encode_hop.lower(
        features.network,
        features.start().block,
        samples,
        hop=features.hop,
        lookahead=features.lookahead,
    )
    operations = re.findall(
        r"stablehlo\.(?:dot_general|convolution)\b.*", program.as_text()
    )
    assert len(operations) > 8
    assert all("HIGHEST" in operation for operation in operations)
