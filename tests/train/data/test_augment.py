"""Augmentation of sound, measured: ratio of sound and noise, reverberation time, level,
and time."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.spectrogram import SAMPLE_RATE
from jaxportrait.ranges import OptionError
from train.data.augment import (
    STRETCH,
    SoundAugmentation,
    augment_sound,
    augment_stream,
    colored_noise,
    convolve,
    impulse_response,
)

COUNT = SAMPLE_RATE
KEY = jax.random.key(5)
# Nothing happens; each test names what does.
NOTHING = SoundAugmentation(gain=(0.0, 0.0), noise=0.0, reverberation=0.0)

augment = jax.jit(augment_sound, static_argnames="options")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Bursts of a harmonic sound, quiet enough for noise beside it."""
    time = np.arange(COUNT) / SAMPLE_RATE
    tone = np.zeros(COUNT)
    for harmonic in range(1, 20):
        tone += np.sin(880 * harmonic * time) / harmonic
    # A burst of a sixth of a second, and a pause.
    is_loud = np.sin(2 * np.pi * 3 * time) > 0
    return (0.03 * tone * is_loud).astype(np.float32)


def change(sound: np.ndarray, **ranges: Any) -> np.ndarray:
    """Return a sound after an augmentation that does nothing but what is named."""
    options = replace(NOTHING, **ranges)
    return np.asarray(augment(KEY, sound, COUNT, options))


def power(sound: np.ndarray) -> float:
    squares = np.square(sound, dtype=np.float64)
    return float(squares.mean())


def decibels(first: np.ndarray, second: np.ndarray) -> float:
    """Return the ratio of two sounds' powers."""
    return 10 * np.log10(power(first) / power(second))


def decay_seconds(response: np.ndarray) -> float:
    """Return the reverberation time of a response: its energy from each moment on,
    between 5 and 35 dB below the whole (Schroeder's integral)."""
    squares = np.square(response, dtype=np.float64)
    energy = squares[::-1].cumsum()[::-1]
    level = 10 * np.log10(energy / energy[0])
    # A line through the decibels tells when 60 are reached.
    fall = np.flatnonzero((level < -5) & (level > -35))
    slope, _ = np.polyfit(fall / SAMPLE_RATE, level[fall], 1)
    return -60 / slope


@pytest.mark.parametrize("ratio", [3.0, 20.0])
def test_noise_has_the_power_that_the_ratio_states(speech, ratio):
    noisy = change(speech, noise=1.0, signal_to_noise=(ratio, ratio))
    noise = noisy - speech
    assert decibels(speech, noise) == pytest.approx(ratio, abs=0.01)
    # Twice the noise is measured as 6 dB less.
    louder = decibels(speech, 2 * noise)
    assert louder == pytest.approx(ratio - 6.02, abs=0.02)


@pytest.mark.parametrize("decay", [0.2, 0.8])
def test_a_room_decays_in_the_time_that_is_stated(decay):
    response = impulse_response(KEY, decay, 0.0, SAMPLE_RATE)
    room = np.asarray(response)[1:]
    assert decay_seconds(room) == pytest.approx(decay, rel=0.05)

    # Noise that fades by 60 dB in another time is told apart.
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    fade = 10 ** (-3 * time / (2 * decay))
    other = rng.standard_normal(SAMPLE_RATE) * fade
    assert decay_seconds(other) == pytest.approx(2 * decay, rel=0.05)


def test_the_direct_sound_has_its_share_of_the_energy():
    response = np.asarray(impulse_response(KEY, 0.4, 6.0, SAMPLE_RATE))
    assert response[0] == 1.0
    ratio = decibels(response[:1], response[1:])
    # The mean of the rest is over more samples.
    ratio -= 10 * np.log10(response.size - 1)
    assert ratio == pytest.approx(6, abs=0.01)


def test_a_room_keeps_power_and_time(speech):
    wet = change(speech, reverberation=1.0, decay=(0.5, 0.5), direct=(3.0, 3.0))
    assert power(wet) == pytest.approx(power(speech), rel=1e-3)

    # Lips stay on time: the sounds agree best without a shift.
    lags = np.arange(-20, 21)
    likeness = [np.roll(speech, lag) @ wet for lag in lags]
    assert lags[np.argmax(likeness)] == 0

    # The pauses between the bursts are not silent any more.
    pause = slice(3000, 5000)
    assert power(speech[pause]) < 1e-20
    assert power(wet[pause]) > 1e-3 * power(wet)


def test_a_convolution_is_that_of_the_definition():
    rng = np.random.default_rng(0)

    # Lengths whose sum is no power of two.
    samples = rng.standard_normal(50).astype(np.float32)
    response = rng.standard_normal(9).astype(np.float32)
    expected = np.convolve(samples, response)[:50]
    computed = convolve(jnp.asarray(samples), jnp.asarray(response))
    np.testing.assert_allclose(computed, expected, atol=1e-5)


def test_a_gain_is_in_decibels_and_nothing_is_clipped(speech):
    quiet = change(speech, gain=(-20.0, -20.0))
    np.testing.assert_allclose(quiet, speech / 10, rtol=1e-5, atol=1e-7)

    # A level beyond full scale is lowered as a whole, and keeps its shape.
    loud = change(speech, gain=(40.0, 40.0))
    expected = speech / np.abs(speech).max()
    np.testing.assert_allclose(loud, expected, rtol=1e-5, atol=1e-6)
    # A level that was cut would not.
    cut = np.clip(100 * speech, -1, 1)
    assert np.abs(cut - expected).max() > 0.5


def test_noise_is_between_white_and_brown():
    frequency = np.fft.rfftfreq(COUNT, 1 / SAMPLE_RATE)
    is_low = (frequency > 100) & (frequency < 200)
    is_high = (frequency > 3200) & (frequency < 6400)
    slopes = []
    for seed in range(12):
        noise = colored_noise(jax.random.key(seed), COUNT)
        spectrum = np.square(np.abs(np.fft.rfft(noise)))
        # Nothing is too low to be heard.
        assert spectrum[frequency < 49].max() < 1e-6 * spectrum.max()
        ratio = spectrum[is_low].mean() / spectrum[is_high].mean()
        # The bands lie five octaves apart.
        slopes.append(np.log2(ratio) / 5)
    assert min(slopes) > -0.2
    assert max(slopes) < 2.2
    assert np.std(slopes) > 0.3


def test_silence_and_what_follows_a_sound_stay_silent(speech):
    silence = np.zeros_like(speech)
    changed = change(silence, noise=1.0, reverberation=1.0)

    np.testing.assert_array_equal(changed, 0)

    options = replace(NOTHING, noise=1.0, reverberation=1.0)
    part = np.asarray(augment(KEY, speech, 10_000, options))
    assert np.any(part[:10_000])
    np.testing.assert_array_equal(part[10_000:], 0)


def test_shares_and_ranges_are_drawn_by_key(speech):
    options = replace(NOTHING, noise=0.5, signal_to_noise=(0.0, 20.0))

    @jax.jit
    @jax.vmap
    def augment_many(key):
        return augment_sound(key, jnp.asarray(speech), COUNT, options)

    keys = jax.random.split(jax.random.key(0), 30)
    noises = np.asarray(augment_many(keys)) - speech
    has_noise = np.abs(noises).max(axis=1) > 1e-6
    assert 0.25 < has_noise.mean() < 0.75
    ratios = [decibels(speech, noise) for noise in noises[has_noise]]
    assert min(ratios) >= 0
    assert max(ratios) <= 20
    # They fill the range.
    assert np.ptp(ratios) > 8


def hear(recording: np.ndarray, size: int, name: str, variant: int) -> np.ndarray:
    """Return an augmentation of a recording that comes in chunks of a size."""

    def stream():
        borders = range(size, recording.size, size)
        return iter(np.split(recording, borders))

    changed = augment_stream(stream, name, variant, SoundAugmentation())
    samples = np.concatenate(list(changed()))
    # Whoever reads it twice hears the same.
    again = next(iter(changed()))
    np.testing.assert_array_equal(again, samples[:STRETCH])
    return samples


def test_a_stream_depends_on_name_and_number_and_not_on_its_chunks():
    rng = np.random.default_rng(0)
    # Longer than a stretch.
    noise = rng.standard_normal(STRETCH + 5_000)
    recording = (0.1 * noise).astype(np.float32)
    first = hear(recording, 16_000, "a.mp4", 0)
    assert first.size == recording.size
    assert np.abs(first).max() <= 1

    # Other chunks, another name, another number.
    same = hear(recording, 77_777, "a.mp4", 0)
    np.testing.assert_array_equal(same, first)
    for name, variant in (("b.mp4", 0), ("a.mp4", 1)):
        other = hear(recording, 16_000, name, variant)
        assert np.abs(other - first).max() > 1e-3


def test_ranges_are_checked():
    with pytest.raises(OptionError, match=r"decay is 1 to 0.5: name the smaller"):
        SoundAugmentation(decay=(1.0, 0.5))
    with pytest.raises(OptionError, match="noise is"):
        SoundAugmentation(noise=1.5)
    with pytest.raises(OptionError, match="decay is"):
        SoundAugmentation(decay=(0.0, 0.5))
