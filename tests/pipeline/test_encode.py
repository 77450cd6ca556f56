"""Audio features: the same however the clip is streamed, padded as promised."""

import numpy as np
import pytest
from flax import nnx

from jaxportrait.models.log_mel import LogMelConfig
from jaxportrait.models.parts import build
from jaxportrait.models.whisper import WhisperConfig
from jaxportrait.ops.spectrogram import log_mel, mel_filters
from jaxportrait.pipeline.encode import encode_audio, spectrogram_blocks

SHORT_CONTEXT = WhisperConfig(
    mel_bins=80, context=50, width=16, heads=2, layers=1
)  # blocks of a second


@pytest.fixture(scope="module")
def whisper():
    return build("whisper", SHORT_CONTEXT, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def log_mels():
    return build("log_mel", LogMelConfig(), rngs=nnx.Rngs(0))


@pytest.fixture(params=["whisper", "log_mels"])
def encoder(request):
    return request.getfixturevalue(request.param)


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize("samples", [16_000, 16_001, 40_000, 47_999, 48_160, 48_320])
def test_blocks_hold_the_spectrogram_of_the_whole_clip(samples):
    clip = noise(samples)
    whole = np.asarray(log_mel(np.pad(clip, 200, mode="reflect")[None], 80))[
        0, : samples // 160
    ]
    blocks = list(spectrogram_blocks(iter(np.array_split(clip, 7)), samples, hops=100))
    joined = np.concatenate(
        [np.asarray(log_mel(block, 80))[0, :valid] for block, valid in blocks]
    )
    assert len({block.shape for block, _ in blocks}) == 1
    np.testing.assert_allclose(joined, whole, atol=1e-5)


def numpy_features(clip: np.ndarray, mel_bins: int = 80) -> np.ndarray:
    """Pairs of frames of Whisper's log-mel spectrogram, in float64: what the log-mel
    encoder is to make."""
    padded, hann = (
        np.pad(clip.astype(np.float64), 200, mode="reflect"),
        np.hanning(401)[:-1],
    )
    frames = np.stack(
        [padded[160 * i : 160 * i + 400] * hann for i in range(clip.size // 160)]
    )
    mel = np.abs(np.fft.rfft(frames)) ** 2 @ mel_filters(mel_bins)
    levels = np.log10(np.maximum(mel, 1e-10))
    scaled = (np.maximum(levels, levels.max() - 8) + 4) / 4
    return np.stack(
        [np.concatenate(pair) for pair in zip(scaled[::2], scaled[1::2], strict=False)]
    )


@pytest.mark.parametrize("samples", [3_200, 31_999, 32_160, 80_000])
def test_log_mel_features_are_pairs_of_frames(log_mels, samples):
    """Of clips shorter and longer than a block, and with half a feature left over."""
    clip = noise(samples)
    features = encode_audio(log_mels, lambda: [clip], clip.size)
    assert features.shape == (samples // 320, 160)
    np.testing.assert_allclose(features, numpy_features(clip), atol=2e-5)


def test_fewer_mel_bins_make_narrower_features():
    clip, encoder = noise(8_000), build("log_mel", LogMelConfig(40), rngs=nnx.Rngs(0))
    features = encode_audio(encoder, lambda: [clip], clip.size)
    assert features.shape == (25, LogMelConfig(40).width)
    np.testing.assert_allclose(features, numpy_features(clip, 40), atol=2e-5)


def test_a_log_mel_feature_hears_35_milliseconds(log_mels):
    """Feature 50 is centred on samples 16 000 and 16 160, and reads 200 to each side;
    the maximum stays elsewhere."""
    clip = noise(32_000)
    clip[20_000:20_400] *= 10
    changed = clip.copy()
    changed[15_960:16_000] = 0
    features, others = (
        encode_audio(log_mels, lambda wave=wave: [wave], wave.size)
        for wave in (clip, changed)
    )
    assert np.flatnonzero((features != others).any(axis=1)).tolist() == [49, 50]


def test_chunks_do_not_matter(encoder):
    clip = noise(40_000)
    whole = encode_audio(encoder, lambda: [clip], clip.size)
    assert whole.shape == (125, encoder.config.width)
    np.testing.assert_array_equal(
        whole, encode_audio(encoder, lambda: iter(np.array_split(clip, 133)), clip.size)
    )


def test_more_features_are_made_of_silence(encoder):
    clip = noise(10_000)
    asked = encode_audio(encoder, lambda: [clip], clip.size, features=50)
    silence = np.concatenate([clip, np.zeros(6_000, np.float32)])
    np.testing.assert_array_equal(
        asked, encode_audio(encoder, lambda: [silence], silence.size)
    )


def test_fewer_features_are_a_cut(encoder):
    clip = noise(40_000)
    np.testing.assert_array_equal(
        encode_audio(encoder, lambda: [clip], clip.size, features=50),
        encode_audio(encoder, lambda: [clip], clip.size)[:50],
    )


def test_the_floor_is_that_of_the_whole_clip(encoder):
    """A loud second block changes the features of a quiet first one."""
    quiet, loud = 1e-4 * noise(16_000), noise(16_000)
    alone = encode_audio(encoder, lambda: [quiet], quiet.size)
    joined = encode_audio(encoder, lambda: [quiet, loud], 32_000)
    assert np.abs(alone - joined[:50]).max() > 1e-2


def test_silence_is_legal(encoder):
    assert np.isfinite(
        encode_audio(encoder, lambda: [np.zeros(16_000, np.float32)], 16_000)
    ).all()
