"""Gaps, late starts and clocks that run off: sound stays where its file puts it."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.media.demux import in_seconds
from tests.media.audio.sounds import (
    read_samples,
    remux,
    shift,
    tones,
    without_packets,
    write_sound,
)


def write_opus(path: Path, seconds: float) -> Path:
    """Write a tone in Opus; a packet lasts 20 ms."""
    return write_sound(path, tones(seconds, 48_000, 1), 48_000, "libopus")


def loudest(audio: Audio, start: float, stop: float) -> float:
    """Return the largest absolute sample between two times in seconds."""
    first = round(start * SAMPLE_RATE)
    last = round(stop * SAMPLE_RATE)
    return np.abs(read_samples(audio)[first:last]).max()


@pytest.mark.parametrize("name", ["a.webm", "a.mkv", "a.ogg"])
def test_a_recording_may_start_late(tmp_path, name):
    def delay(index, packet) -> bool:
        shift(packet, 100.0)
        return True

    late = remux(write_opus(tmp_path / name, 2.0), delay)
    audio = Audio.open(late)
    assert audio.start == pytest.approx(100.0, abs=0.02)
    assert audio.duration == pytest.approx(2.0, abs=0.03)
    assert audio.gaps == ()

    # a truncation shows in its length as well
    late.write_bytes(late.read_bytes()[:-4000])
    if name != "a.ogg":
        with pytest.raises(ValueError, match=r"decoded to 101\.\d+ s of 102"):
            Audio.open(late)


@pytest.mark.parametrize(
    ("lost", "count"),
    [(range(39, 40), 1), (range(39, 44), 1), (range(11, 140, 11), 12)],
)
@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
def test_lost_packets_are_silence(tmp_path, suffix, lost, count):
    whole = write_opus(tmp_path / f"a{suffix}", 3.0)
    audio = Audio.open(without_packets(whole, lost))
    assert audio.duration == pytest.approx(3.0, abs=0.01)
    assert len(audio.gaps) == count
    seconds = sum(gap.seconds for gap in audio.gaps)
    assert seconds == pytest.approx(0.02 * len(lost), abs=0.005)
    assert audio.gaps[0].start == pytest.approx(0.02 * lost[0], abs=0.01)
    # later passes give the same sound
    assert len(read_samples(audio)) == audio.sample_count


def test_lost_packets_of_ogg_do_not_matter(tmp_path):
    # its pages state their end only: the sound before the loss comes late
    whole = write_opus(tmp_path / "a.ogg", 2.0)
    audio = Audio.open(without_packets(whole, range(39, 40)))
    assert audio.duration == pytest.approx(2.0, abs=0.025)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "aac"), ("a.mka", "pcm_s16le"), ("a.mkv", "flac"), ("b.mkv", "pcm_u8")],
)
def test_a_hole_in_any_codec_is_silence(tmp_path, name, codec):
    def delay(index, packet) -> bool:
        if index >= 5:
            shift(packet, 0.04)
        return True

    whole = write_sound(tmp_path / name, tones(2.0, 16_000, 1), 16_000, codec)
    audio = Audio.open(remux(whole, delay))
    assert audio.duration == pytest.approx(2.04, abs=1e-3)
    (gap,) = audio.gaps
    assert gap.seconds == pytest.approx(0.04, abs=1e-3)
    assert loudest(audio, gap.start + 1e-3, gap.start + 0.039) == 0


@pytest.mark.parametrize("name", ["a.webm", "a.mka"])
def test_a_pause_in_opus_is_silence(tmp_path, name):
    whole = write_opus(tmp_path / name, 4.0)
    audio = Audio.open(without_packets(whole, range(100, 120)))
    assert audio.duration == pytest.approx(Audio.open(whole).duration, abs=0.02)
    # the pause lasts from 2.0 to 2.4 s
    assert loudest(audio, 2.1, 2.3) < 1e-3
    assert loudest(audio, 2.6, 2.8) > 0.1
    with pytest.raises(ValueError, match=r"lacks its sound from 1\.\d+ to 3\.\d+ s"):
        Audio.open(without_packets(whole, range(100, 160)))


@pytest.mark.parametrize("speed", [1.001, 0.999])
def test_a_clock_that_runs_off_keeps_its_sound(tmp_path, speed):
    # an impulse every second of a minute
    samples = np.zeros((60 * 8_000, 1), np.float32)
    samples[4_000::8_000] = 0.9

    def stretch(index, packet) -> bool:
        seconds = in_seconds(packet.pts or 0, packet.time_base)
        shift(packet, (speed - 1) * seconds)
        return True

    whole = write_sound(tmp_path / "a.mkv", samples, 8_000, "pcm_s16le")
    audio = Audio.open(remux(whole, stretch))
    assert audio.duration == pytest.approx(60 * speed, abs=0.012)
    (impulses,) = np.nonzero(read_samples(audio) > 0.3)
    seconds = impulses / SAMPLE_RATE
    expected = speed * (0.5 + np.arange(60))
    # of every impulse to the nearest in the sound
    lag = np.abs(seconds[:, None] - expected)
    assert lag.min(axis=0).max() < 0.013


@pytest.mark.parametrize(
    ("name", "codec"), [("a.ts", "aac"), ("a.ogg", "libopus"), ("b.ogg", "flac")]
)
def test_a_clock_may_start_again(tmp_path, name, codec):
    path = write_sound(tmp_path / name, tones(3.0, 48_000, 1), 48_000, codec)
    single = Audio.open(path).duration
    path.write_bytes(2 * path.read_bytes())
    joined = Audio.open(path)
    assert joined.duration == pytest.approx(2 * single, abs=0.03)
    assert joined.gaps == ()


@pytest.mark.parametrize(
    ("name", "codec", "complaint"),
    [
        ("a.mp3", "libmp3lame", "is corrupt after"),
        ("a.m4a", "aac", "is corrupt after"),
        ("a.flac", "flac", r"lacks its sound from 0\.9\d to 1\.0\d s"),
        ("a.ogg", "libopus", "is damaged"),
        ("a.mka", "libopus", "is damaged"),
    ],
)
def test_damage_in_the_middle_is_an_error(tmp_path, name, codec, complaint):
    rng = np.random.default_rng(0)
    noise = 0.2 * rng.standard_normal((96_000, 1))
    samples = noise.astype(np.float32)
    path = write_sound(tmp_path / name, samples, 48_000, codec)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = bytes(1500)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=complaint):
        Audio.open(path)
