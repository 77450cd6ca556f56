"""A mix of sounds: their sum, as long as the longest."""

import numpy as np
import pytest

from jaxportrait.media.audio import SAMPLE_RATE, Audio, mix_audio


def tone(seconds: float, frequency: float, level: float = 0.25) -> np.ndarray:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


def samples(audio: Audio) -> np.ndarray:
    return np.concatenate(list(audio.stream()))


def test_sounds_are_added_and_the_longest_decides():
    low = tone(1.5, 200)
    high = tone(2.5, 700)
    mix = mix_audio([Audio.from_samples(tone, SAMPLE_RATE) for tone in (low, high)])
    assert mix.duration == pytest.approx(2.5, abs=0.01)
    expected = high.copy()
    expected[: len(low)] += low
    mixed = samples(mix)[: len(expected)]
    # Resampled twice; the ends of the sounds ring.
    error = np.abs(mixed - expected[: len(mixed)])
    assert np.quantile(error, 0.99) < 0.01


def test_one_sound_stays_as_it_is():
    audio = Audio.from_samples(tone(1, 200), SAMPLE_RATE)
    assert mix_audio([audio, audio]) is audio
    with pytest.raises(ValueError, match="there are no sounds"):
        mix_audio([])


def test_a_sum_beyond_full_scale_is_cut():
    loud = [
        Audio.from_samples(tone(1, frequency, level=0.9), SAMPLE_RATE)
        for frequency in (200, 200.5)
    ]
    assert np.abs(samples(mix_audio(loud))).max() < 1.2
