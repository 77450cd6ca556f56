"""Blocks of a clip: the spectrogram of the blocks is the whole clip's."""

import numpy as np
import pytest

from jaxportrait.features.blocks import samples_of, spectrogram_blocks
from jaxportrait.ops.spectrogram import log_mel

LENGTHS = [16_000, 16_001, 40_000, 47_999, 48_160, 48_320]


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(samples).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize("samples", LENGTHS)
def test_blocks_hold_the_spectrogram_of_the_whole_clip(samples):
    clip = noise(samples)
    padded = np.pad(clip, 200, mode="reflect")
    whole = np.asarray(log_mel(padded[None], 80))[0, : samples // 160]
    chunks = iter(np.array_split(clip, 7))
    blocks = list(spectrogram_blocks(chunks, samples, hops=100))
    frames = [np.asarray(log_mel(block, 80))[0, :valid] for block, valid in blocks]
    assert {block.shape for block, _ in blocks} == {(1, samples_of(100))}
    np.testing.assert_allclose(np.concatenate(frames), whole, atol=1e-5)


@pytest.mark.parametrize("samples", LENGTHS)
def test_the_length_of_a_clip_need_not_be_known(samples):
    clip = noise(samples)
    known = list(spectrogram_blocks([clip], samples, hops=100))
    unknown = list(spectrogram_blocks([clip], 0, hops=100))
    assert len(known) == len(unknown)
    for (block, valid), (other, other_valid) in zip(known, unknown, strict=True):
        np.testing.assert_array_equal(block, other)
        assert valid == other_valid


def test_short_clips_are_padded_with_silence():
    clip = noise(5_000)
    silence = np.concatenate([clip, np.zeros(11_000, np.float32)])
    ((block, valid),) = spectrogram_blocks([clip], 16_000, hops=100)
    ((expected, _),) = spectrogram_blocks([silence], 16_000, hops=100)
    np.testing.assert_array_equal(block, expected)
    assert valid == 100
