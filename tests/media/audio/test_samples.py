"""Samples that are no sound, in files and in memory."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.media.audio import Audio
from tests.media.audio.sounds import tones, write_sound

RATE = 16_000


def write_floats(path: Path, samples: np.ndarray, codec: str = "pcm_f32le") -> Path:
    return write_sound(path, samples, RATE, codec)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_sample_that_is_not_finite_is_named_by_its_time(tmp_path, value, channels):
    samples = tones(0.51, RATE, channels)
    # after the last frame of a clip at 30 frames a second
    samples[8_140, -1] = value
    samples[8_150] = np.nan
    message = r"a sample that is not a finite number at 0\.5088 s"
    with pytest.raises(ValueError, match=message):
        Audio.open(write_floats(tmp_path / "a.wav", samples))
    with pytest.raises(ValueError, match=message):
        Audio.from_samples(samples, RATE)


@pytest.mark.parametrize(
    ("scale", "peak"), [(2**15, "8192"), (4e30, "1e+30"), (32.04, "8.01")]
)
def test_a_peak_far_beyond_full_scale_is_refused(tmp_path, scale, peak):
    # a tone of amplitude 0.25, at the maximum of a sine
    samples = scale * tones(0.5, RATE, 1)
    message = f"a peak of {peak.replace('+', '.')}, and full scale is 1"
    with pytest.raises(ValueError, match=message):
        Audio.open(write_floats(tmp_path / "a.wav", samples))
    with pytest.raises(ValueError, match=message):
        Audio.from_samples(samples, RATE)


def test_loud_sound_is_legal(tmp_path):
    samples = 28 * tones(0.5, RATE, 1)
    audio = Audio.open(write_floats(tmp_path / "a.wav", samples))
    assert audio.duration == 0.5


def test_a_double_that_float_cannot_hold_is_refused():
    samples = np.full(100, 1e300)
    with pytest.raises(ValueError, match=r"not a finite number at 0\.0000 s"):
        Audio.from_samples(samples, RATE)


@pytest.mark.parametrize("rate", [2_000_000_000, 20])
def test_a_sample_rate_that_cannot_be_is_refused(tmp_path, rate):
    path = write_floats(tmp_path / "a.wav", tones(0.1, RATE, 1))
    data = bytearray(path.read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"a.wav has a sample rate of {rate} Hz"):
        Audio.open(path)


def test_channels_that_cannot_be_mixed_are_refused(tmp_path):
    path = write_floats(tmp_path / "a.wav", tones(0.5, RATE, 1))
    data = bytearray(path.read_bytes())
    data[22:24] = (255).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.wav has 255 channels: mix them to 64"):
        Audio.open(path)


@pytest.mark.parametrize(
    ("samples", "rate", "complaint"),
    [
        (np.zeros(0, np.float32), RATE, r"lasts 0\.0000 s"),
        (np.zeros((2, RATE), np.float32), RATE, r"1 to 8 channels, got \(2, 16000\)"),
        (np.zeros(9, np.uint8), RATE, "signed integers, got uint8"),
        (np.zeros(9, np.float32), 0, "a sample rate of 0 Hz: it must be from 1000"),
        (np.zeros(9, np.float32), 10**10, "a sample rate of 10000000000 Hz"),
    ],
)
def test_samples_that_are_no_sound(samples, rate, complaint):
    with pytest.raises(ValueError, match=complaint):
        Audio.from_samples(samples, rate)
