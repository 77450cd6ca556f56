"""Audio features: the same however the clip is streamed, padded as promised."""

import numpy as np
import pytest
from flax import nnx

from jaxportrait.models.config import WhisperConfig
from jaxportrait.models.parts import build
from jaxportrait.ops.spectrogram import log_mel
from jaxportrait.pipeline.encode import encode_audio, spectrogram_blocks

SHORT_CONTEXT = WhisperConfig(mel_bins=80, context=50, width=16, heads=2, layers=1)  # blocks of a second


@pytest.fixture(scope="module")
def whisper():
    return build("whisper", SHORT_CONTEXT, rngs=nnx.Rngs(0))


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize("samples", [16_000, 16_001, 40_000, 47_999, 48_160, 48_320])
def test_blocks_hold_the_spectrogram_of_the_whole_clip(samples):
    clip = noise(samples)
    whole = np.asarray(log_mel(np.pad(clip, 200, mode="reflect")[None], 80))[0, : samples // 160]
    blocks = list(spectrogram_blocks(iter(np.array_split(clip, 7)), samples, hops=100))
    joined = np.concatenate([np.asarray(log_mel(block, 80))[0, :valid] for block, valid in blocks])
    assert len({block.shape for block, _ in blocks}) == 1
    np.testing.assert_allclose(joined, whole, atol=1e-5)


def test_chunks_do_not_matter(whisper):
    clip = noise(40_000)
    whole = encode_audio(whisper, lambda: [clip], clip.size)
    assert whole.shape == (125, 16)
    np.testing.assert_array_equal(whole, encode_audio(whisper, lambda: iter(np.array_split(clip, 133)), clip.size))


def test_more_features_are_made_of_silence(whisper):
    clip = noise(10_000)
    asked = encode_audio(whisper, lambda: [clip], clip.size, features=50)
    silence = np.concatenate([clip, np.zeros(6_000, np.float32)])
    np.testing.assert_array_equal(asked, encode_audio(whisper, lambda: [silence], silence.size))


def test_fewer_features_are_a_cut(whisper):
    clip = noise(40_000)
    np.testing.assert_array_equal(
        encode_audio(whisper, lambda: [clip], clip.size, features=50),
        encode_audio(whisper, lambda: [clip], clip.size)[:50],
    )


def test_the_floor_is_that_of_the_whole_clip(whisper):
    """A loud second block changes the features of a quiet first one."""
    quiet, loud = 1e-4 * noise(16_000), noise(16_000)
    alone = encode_audio(whisper, lambda: [quiet], quiet.size)
    joined = encode_audio(whisper, lambda: [quiet, loud], 32_000)
    assert np.abs(alone - joined[:50]).max() > 1e-2


def test_silence_is_legal(whisper):
    assert np.isfinite(encode_audio(whisper, lambda: [np.zeros(16_000, np.float32)], 16_000)).all()
