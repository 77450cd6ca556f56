"""The log-mel spectrogram, against golden figures and openai-whisper."""

import jax.numpy as jnp
import numpy as np
import pytest
import whisper

from convert_weights.outputs import golden_waveform
from convert_weights.recipe import Recipe
from convert_weights.verify import compare
from jaxportrait.ops.spectrogram import (
    HOP,
    MARGIN,
    SAMPLE_RATE,
    log_mel,
    mel_filters,
    scale_log_mel,
)
from tests.arrays import draw
from tests.closeness import assert_close

BOUND = 1e-5
GOLDEN_BOUND = 2e-5


def spectrogram(wave: np.ndarray, mel_bins: int = 80) -> np.ndarray:
    """Return a whole clip's spectrogram as Whisper's: shape (mel bins, frames).

    The clip is mirrored at both ends, and its last frame dropped.
    """
    # The ops leave mirroring to their caller.
    samples = np.pad(wave, MARGIN, mode="reflect")[None]
    values = log_mel(samples, mel_bins)[0, :-1]
    return np.asarray(scale_log_mel(values, values.max())).T


@pytest.mark.parametrize("mel_bins", [80, 128])
def test_filters_are_those_that_whisper_stores(mel_bins):
    reference = whisper.audio.mel_filters("cpu", mel_bins)
    assert_close(mel_filters(mel_bins), reference.T, 1e-6)


@pytest.mark.parametrize("samples", [SAMPLE_RATE, 24_000, 17_123])
def test_spectrograms_are_those_of_whisper(samples):
    time = np.arange(samples) / SAMPLE_RATE
    sweep = np.sin(2 * np.pi * (200 + 900 * time) * time)
    noise = np.random.default_rng(0).standard_normal(samples)
    wave = (0.3 * sweep + 0.05 * noise).astype(np.float32)
    assert_close(spectrogram(wave), whisper.log_mel_spectrogram(wave), BOUND)


@pytest.mark.parametrize("seconds", [1.0, 2.37, 31.0])
def test_spectrograms_are_the_golden_ones(golden, seconds):
    figures = dict(np.load(golden / "audio.npz"))
    ours = spectrogram(golden_waveform(Recipe(golden), seconds))
    result = compare(figures, f"mel/{seconds}s", ours, GOLDEN_BOUND)
    assert result.passed, result


def test_a_frame_reads_only_its_own_window():
    wave = draw(1, 2 * MARGIN + 9 * HOP)
    frames = log_mel(wave, 80)
    assert frames.shape == (1, 10, 80)
    start = 4 * HOP
    window = wave[:, start : start + 2 * MARGIN]
    # Frame 4, from only the samples that it reads.
    assert_close(log_mel(window, 80)[:, 0], frames[:, 4], 1e-6)


def test_silence_is_finite_and_flat():
    values = log_mel(np.zeros((1, 2 * MARGIN), np.float32), 80)
    # log10 of the smallest power, 1e-10.
    np.testing.assert_allclose(values, -10)
    np.testing.assert_allclose(scale_log_mel(values, jnp.asarray(-10.0)), -1.5)


def test_values_are_floored_eight_below_the_maximum():
    values = scale_log_mel(jnp.asarray([-9.0, -5.0, 2.0]), jnp.asarray(2.0))
    # (value + 4) / 4, and -9 is raised to 2 - 8 first.
    np.testing.assert_allclose(values, [-0.5, -0.25, 1.5])
