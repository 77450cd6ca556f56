"""Blocks of a clip: the spectrogram of the blocks is the whole clip's."""

import numpy as np
import pytest

from jaxportrait.features.blocks import Block, samples_of, spectrogram_blocks
from jaxportrait.ops.spectrogram import log_mel

LENGTHS = [16_000, 16_001, 40_000, 47_999, 48_160, 48_320]


def noise(samples: int) -> np.ndarray:
    rng = np.random.default_rng(samples)
    clip = rng.normal(0, 0.1, samples)
    return clip.astype(np.float32)


def encode_blocks(blocks: list[Block]) -> np.ndarray:
    """Return the log-mel frames of blocks, as far as they belong to the clip."""
    frames = []
    for block, valid in blocks:
        values = log_mel(block, 80)
        frames.append(np.asarray(values)[0, :valid])
    return np.concatenate(frames)


def assert_equal(blocks: list[Block], expected: list[Block]) -> None:
    """Compare samples and counts of two lists of blocks."""
    assert len(blocks) == len(expected)
    for actual, reference in zip(blocks, expected, strict=True):
        np.testing.assert_array_equal(actual[0], reference[0])
        assert actual[1] == reference[1]


@pytest.mark.parametrize("samples", LENGTHS)
def test_blocks_hold_the_spectrogram_of_the_whole_clip(samples):
    clip = noise(samples)
    padded = np.pad(clip, 200, mode="reflect")
    values = np.asarray(log_mel(padded[None], 80))
    # Whisper drops the last frame.
    whole = values[0, : samples // 160]
    chunks = iter(np.array_split(clip, 7))
    blocks = list(spectrogram_blocks(chunks, samples, hops=100))
    shapes = {block.shape for block, _ in blocks}
    assert shapes == {(1, samples_of(100))}
    np.testing.assert_allclose(encode_blocks(blocks), whole, atol=1e-5)


@pytest.mark.parametrize("samples", LENGTHS)
def test_the_length_of_a_clip_need_not_be_stated(samples):
    clip = noise(samples)
    stated = list(spectrogram_blocks([clip], samples, hops=100))
    blocks = list(spectrogram_blocks([clip], 0, hops=100))
    assert_equal(blocks, stated)


def test_short_clips_are_padded_with_silence():
    clip = noise(5_000)
    padded = np.pad(clip, (0, 11_000))
    blocks = list(spectrogram_blocks([clip], 16_000, hops=100))
    expected = list(spectrogram_blocks([padded], 16_000, hops=100))
    assert_equal(blocks, expected)
    # The silence belongs to the clip.
    assert [valid for _, valid in blocks] == [100]
