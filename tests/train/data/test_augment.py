"""Augmentation of sound, measured: ratio of sound and noise, reverberation time, level,
and time."""

from dataclasses import replace

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
    tone = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20))
    return np.float32(0.03 * tone * (np.sin(2 * np.pi * 3 * time) > 0))


def decibels(ratio: float) -> float:
    return 10 * np.log10(ratio)


def power(sound: np.ndarray) -> float:
    return float(np.square(sound, dtype=np.float64).mean())


def decay_seconds(response: np.ndarray) -> float:
    """Return the reverberation time of a response: its energy from each moment on,
    between 5 and 35 dB below the whole (Schroeder's integral)."""
    energy = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    level = 10 * np.log10(energy / energy[0])
    fall = np.flatnonzero((level < -5) & (level > -35))
    slope, _ = np.polyfit(fall / SAMPLE_RATE, level[fall], 1)
    return -60 / slope


@pytest.mark.parametrize("ratio", [3.0, 20.0])
def test_noise_has_the_power_that_the_ratio_states(speech, ratio):
    options = replace(NOTHING, noise=1.0, signal_to_noise=(ratio, ratio))
    noise = np.asarray(augment(KEY, speech, COUNT, options)) - speech
    measured = decibels(power(speech) / power(noise))
    assert measured == pytest.approx(ratio, abs=0.01)
    # Twice the noise is measured as 6 dB less.
    louder = decibels(power(speech) / power(2 * noise))
    assert louder == pytest.approx(ratio - 6.02, abs=0.02)


@pytest.mark.parametrize("decay", [0.2, 0.8])
def test_a_room_decays_in_the_time_that_is_stated(decay):
    response = impulse_response(KEY, decay, 0.0, SAMPLE_RATE)
    room = np.asarray(response)[1:]
    assert decay_seconds(room) == pytest.approx(decay, rel=0.05)
    # Noise that fades by 60 dB in another time is told apart.
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    other = rng.standard_normal(SAMPLE_RATE) * 10 ** (-3 * time / (2 * decay))
    assert decay_seconds(other) == pytest.approx(2 * decay, rel=0.05)


def test_the_direct_sound_has_its_share_of_the_energy():
    response = np.asarray(impulse_response(KEY, 0.4, 6.0, SAMPLE_RATE))
    assert response[0] == 1.0
    measured = decibels(1 / float(np.square(response[1:]).sum()))
    assert measured == pytest.approx(6, abs=0.01)


def test_a_room_keeps_power_and_time(speech):
    options = replace(NOTHING, reverberation=1.0, decay=(0.5, 0.5), direct=(3.0, 3.0))
    wet = np.asarray(augment(KEY, speech, COUNT, options))
    assert power(wet) == pytest.approx(power(speech), rel=1e-3)
    # Lips stay on time: the sounds agree best without a shift.
    lags = np.arange(-20, 21)
    likeness = [float(np.roll(speech, lag) @ wet) for lag in lags]
    assert lags[int(np.argmax(likeness))] == 0
    # The pauses between the bursts are not silent any more.
    pause = slice(3000, 5000)
    assert power(speech[pause]) < 1e-20
    assert power(wet[pause]) > 1e-3 * power(wet)


def test_a_convolution_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(50).astype(np.float32)
    response = rng.standard_normal(9).astype(np.float32)
    expected = np.convolve(samples, response)[:50]
    computed = convolve(jnp.asarray(samples), jnp.asarray(response))
    np.testing.assert_allclose(computed, expected, atol=1e-5)


def test_a_gain_is_in_decibels_and_nothing_is_clipped(speech):
    quiet = augment(KEY, speech, COUNT, replace(NOTHING, gain=(-6.0, -6.0)))
    np.testing.assert_allclose(quiet, speech * 10 ** (-6 / 20), rtol=1e-5, atol=1e-7)
    # A level beyond full scale is lowered as a whole, and keeps its shape.
    loud = np.asarray(augment(KEY, speech, COUNT, replace(NOTHING, gain=(40.0, 40.0))))
    assert np.abs(loud).max() == pytest.approx(1, rel=1e-6)
    expected = speech / np.abs(speech).max()
    np.testing.assert_allclose(loud, expected, rtol=1e-5, atol=1e-6)


def test_noise_is_between_white_and_brown():
    def slope(key: jax.Array) -> float:
        spectrum = np.square(np.abs(np.fft.rfft(colored_noise(key, COUNT))))
        frequency = np.fft.rfftfreq(COUNT, 1 / SAMPLE_RATE)
        assert spectrum[frequency < 49].max() < 1e-6 * spectrum.max()
        low = spectrum[(frequency > 100) & (frequency < 200)].mean()
        high = spectrum[(frequency > 3200) & (frequency < 6400)].mean()
        return float(np.log2(low / high) / 5)

    slopes = [slope(jax.random.key(seed)) for seed in range(12)]
    assert min(slopes) > -0.2
    assert max(slopes) < 2.2
    assert np.std(slopes) > 0.3


def test_silence_and_what_follows_a_sound_stay_silent(speech):
    options = SoundAugmentation(noise=1.0, reverberation=1.0)
    nothing = augment(KEY, np.zeros_like(speech), COUNT, options)
    np.testing.assert_array_equal(nothing, 0)
    part = np.asarray(augment(KEY, speech, 10_000, options))
    assert np.any(part[:10_000])
    np.testing.assert_array_equal(part[10_000:], 0)


def test_shares_and_ranges_are_drawn_by_key(speech):
    options = replace(NOTHING, noise=0.5, signal_to_noise=(0.0, 20.0))
    keys = jax.random.split(jax.random.key(0), 30)
    one = jax.jit(
        jax.vmap(lambda key: augment_sound(key, jnp.asarray(speech), COUNT, options))
    )
    noises = np.asarray(one(keys)) - speech
    has_noise = np.abs(noises).max(axis=1) > 1e-6
    assert 0.25 < has_noise.mean() < 0.75
    ratios = [decibels(power(speech) / power(noise)) for noise in noises[has_noise]]
    assert min(ratios) >= 0
    assert max(ratios) <= 20
    assert np.ptp(ratios) > 8


def test_a_stream_does_not_depend_on_its_chunks():
    rng = np.random.default_rng(0)
    # Longer than a stretch.
    recording = 0.1 * rng.standard_normal(STRETCH + 5_000).astype(np.float32)

    def whole(size: int, name: str = "a.mp4", variant: int = 0) -> np.ndarray:
        def stream():
            return iter(np.split(recording, range(size, recording.size, size)))

        changed = augment_stream(stream, name, variant, SoundAugmentation())
        samples = np.concatenate(list(changed()))
        # Whoever reads it twice hears the same.
        np.testing.assert_array_equal(next(iter(changed())), samples[:STRETCH])
        return samples

    first = whole(16_000)
    assert first.size == recording.size
    np.testing.assert_array_equal(whole(77_777), first)
    for other in (whole(16_000, name="b.mp4"), whole(16_000, variant=1)):
        assert np.abs(other - first).max() > 1e-3
    # The second stretch is in another room.
    assert np.abs(first).max() <= 1


def test_ranges_are_checked():
    with pytest.raises(OptionError, match=r"decay is 1 to 0.5: name the smaller"):
        SoundAugmentation(decay=(1.0, 0.5))
    with pytest.raises(OptionError, match="noise is"):
        SoundAugmentation(noise=1.5)
    with pytest.raises(OptionError, match="decay is"):
        SoundAugmentation(decay=(0.0, 0.5))
