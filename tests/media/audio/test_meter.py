"""The channel and the track of a recording that speak."""

import numpy as np

from jaxportrait.media.audio import Audio
from tests.media.audio.sounds import read_samples, tones, write_tracks


def opposite(share: float) -> np.ndarray:
    """Return a tone of amplitude 0.5, and `share` of its opposite before it."""
    tone = 2 * tones(0.5, 16_000, 1)
    columns = [-share * tone, tone]
    return np.concatenate(columns, axis=1)


def test_channels_of_opposite_polarity_are_read_by_the_louder_one():
    samples = opposite(0.9)
    audio = Audio.from_samples(samples, 16_000)
    assert audio.channel == 1
    np.testing.assert_array_equal(read_samples(audio), samples[:, 1])


def test_a_silent_channel_halves_the_other():
    samples = opposite(0.0)
    audio = Audio.from_samples(samples, 16_000)
    assert audio.channel is None
    expected = samples[:, 1] / 2
    np.testing.assert_allclose(read_samples(audio), expected, atol=1e-7)


def test_independent_channels_are_read_by_their_mean():
    random = np.random.default_rng(0)
    noise = random.uniform(-1, 1, (16_000, 8)).astype(np.float32)
    audio = Audio.from_samples(noise, 16_000)
    assert audio.channel is None
    expected = noise.mean(axis=1)
    np.testing.assert_allclose(read_samples(audio), expected, atol=1e-6)


def test_the_first_track_that_is_not_silent_speaks(tmp_path):
    silence = np.zeros((8_000, 2), np.float32)
    voice = tones(0.5, 16_000, 1)
    music = tones(0.7, 16_000, 1)
    path = write_tracks(tmp_path / "a.mka", [silence, voice, music])
    audio = Audio.open(path)
    assert audio.channels == 1
    assert audio.duration == 0.5
    np.testing.assert_allclose(read_samples(audio), voice[:, 0], atol=1e-4)

    # of two that speak, the first
    path = write_tracks(tmp_path / "b.mka", [music, voice])
    assert Audio.open(path).duration == 0.7

    # of two that are silent, the first as well
    path = write_tracks(tmp_path / "c.mka", [silence, 1e-4 * voice])
    audio = Audio.open(path)
    assert audio.is_silent
    assert audio.channels == 2
