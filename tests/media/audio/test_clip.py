"""Sound through real files of every kind the program promises to read."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from jaxportrait.media.audio import SAMPLE_RATE, Audio, resample
from tests.media.audio.sounds import (
    read_samples,
    set_time,
    tones,
    write_sound,
    write_wave,
)

EDGE = 400  # samples at 16 kHz that resamplers and codecs shape at both ends


def write_picture(path: Path, sound: bool = False) -> Path:
    """Write a video of one frame, with a second of silence if `sound` is true."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=32, height=32)
        voice = None
        if sound:
            voice = container.add_stream("aac", rate=16_000, layout="mono")
        black = np.zeros((32, 32, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(black, format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice:
            silence = np.zeros((1, 16_000), np.float32)
            block = av.AudioFrame.from_ndarray(silence, "flt", "mono")
            set_time(block, 16_000, 0)
            container.mux(voice.encode(block))
            container.mux(voice.encode(None))
    return path


def assert_tone(samples: np.ndarray, tolerance: float):
    """Check that samples are the mean of `tones`, apart from their ends."""
    assert samples.dtype == np.float32
    times = np.arange(len(samples)) / SAMPLE_RATE
    expected = 0.25 * np.sin(2 * np.pi * 200 * times)
    inner = slice(EDGE, -EDGE)
    np.testing.assert_allclose(samples[inner], expected[inner], atol=tolerance)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels", "tolerance"),
    [
        ("a.wav", "pcm_u8", 8_000, 1, 6e-3),
        ("a.wav", "pcm_s16le", 16_000, 2, 1e-4),
        ("a.wav", "pcm_s24le", 44_100, 3, 1e-5),
        ("a.wav", "pcm_s32le", 96_000, 6, 1e-5),
        ("a.wav", "pcm_f32le", 22_050, 8, 1e-5),
        ("a.flac", "flac", 48_000, 8, 1e-4),
        ("a.mp3", "libmp3lame", 44_100, 2, 2e-2),
        ("a.m4a", "aac", 48_000, 1, 2e-2),
        ("a.ogg", "libopus", 48_000, 2, 3e-2),
    ],
)
def test_reads_formats_rates_and_channels(
    tmp_path, name, codec, rate, channels, tolerance
):
    path = write_sound(tmp_path / name, tones(1.3, rate, channels), rate, codec)
    audio = Audio.open(path)
    assert audio.path == path
    assert audio.sample_rate == rate
    assert audio.channels == channels
    samples = read_samples(audio)
    assert len(samples) == audio.sample_count
    assert abs(audio.sample_count - audio.duration * SAMPLE_RATE) < 1
    assert_tone(samples, tolerance)
    assert audio.duration == pytest.approx(1.3, abs=1e-12)


def test_every_stream_starts_at_the_beginning_and_comes_by_the_second():
    audio = Audio.from_samples(tones(2.5, 44_100, 1), 44_100)
    assert [len(chunk) for chunk in audio.stream()] == [16_000, 16_000, 8_000]
    np.testing.assert_array_equal(read_samples(audio), read_samples(audio))


def test_tags_in_an_old_encoding_do_not_matter(tmp_path):
    path = write_wave(tmp_path, 0.5)
    info = b"INFOINAM\x06\0\0\0caf\xe9\0\0"
    chunk = b"LIST" + len(info).to_bytes(4, "little") + info
    path.write_bytes(path.read_bytes() + chunk)
    assert Audio.open(path).duration == 0.5


def test_a_cover_picture_makes_no_video(tmp_path):
    samples = tones(0.5, 44_100, 2)
    path = write_sound(tmp_path / "a.mp3", samples, 44_100, "libmp3lame")
    _, picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    # a tag of ID3 version 3 with one frame, the cover
    cover = b"\0image/png\0\x03\0" + picture.tobytes()
    frame = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0" + cover
    # sizes of tags hold seven bits a byte
    syncsafe = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    tag = b"ID3\x03\0\0" + syncsafe + frame
    music = path.read_bytes()
    start = music.index(b"\xff\xfb")
    path.write_bytes(tag + music[start:])
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert Audio.open(path).duration == pytest.approx(0.5, abs=0.06)


def test_a_video_must_be_asked_for(tmp_path):
    path = write_picture(tmp_path / "a.mp4", sound=True)
    with pytest.raises(ValueError, match="is a video: pass allow_video=True"):
        Audio.open(path)
    audio = Audio.open(path, allow_video=True)
    assert audio.duration == pytest.approx(1.0, abs=0.07)


def test_refuses_what_is_no_sound(tmp_path):
    (tmp_path / "text.wav").write_text("not a sound " * 100)
    (tmp_path / "empty.wav").write_bytes(b"")
    # a wave whose chunk of samples is empty
    header, _ = write_wave(tmp_path, 0.1).read_bytes().split(b"data")
    (tmp_path / "zero.wav").write_bytes(header + b"data\0\0\0\0")
    # an m4a of a codec that FFmpeg does not have
    samples = tones(0.1, 16_000, 1)
    unknown = write_sound(tmp_path / "unknown.m4a", samples, 16_000, "aac")
    data = unknown.read_bytes()
    data = data.replace(b"mp4a", b"ac-4")
    data = data.replace(b"esds", b"free")
    unknown.write_bytes(data)
    write_picture(tmp_path / "mute.mp4")
    with pytest.raises(FileNotFoundError, match=r"none\.wav does not exist"):
        Audio.open(tmp_path / "none.wav")
    for name, complaint in {
        "": "not a regular file",
        "text.wav": "cannot be read",
        "empty.wav": "cannot be read",
        "zero.wav": r"lasts 0\.0000 s",
        "unknown.m4a": "no audio stream that can be decoded",
        "mute.mp4": "no audio stream that can be decoded",
    }.items():
        with pytest.raises(ValueError, match=complaint):
            Audio.open(tmp_path / name)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 37_800, 44_100, 192_000])
def test_samples_of_any_rate(rate):
    audio = Audio.from_samples(tones(1.0, rate, 2), rate)
    assert audio.path is None
    assert audio.duration == 1.0
    assert audio.channels == 2
    assert_tone(read_samples(audio), 1e-5)


def test_samples_of_any_type():
    tone = tones(0.2, 16_000, 1)[:, 0]
    # of full scale
    integers = np.round(tone * 2**15).astype(np.int16)
    for samples in (tone.astype(np.float64), integers):
        audio = Audio.from_samples(samples, 16_000)
        np.testing.assert_allclose(read_samples(audio), tone, atol=2**-15)


def test_silence_is_legal():
    silence = np.zeros(16_000, np.float32)
    audio = Audio.from_samples(silence, 16_000)
    assert not read_samples(audio).any()


@pytest.mark.parametrize("channels", [2, 3, 6, 8])
def test_a_mix_to_stereo_does_not_clip(channels):
    # every channel at full scale
    loudest = np.ones((9_600, channels), np.float32)
    audio = Audio.from_samples(loudest, 48_000)
    for frame in audio.frames(48_000, "stereo"):
        np.testing.assert_allclose(frame.to_ndarray(), 1, atol=1e-6)


def test_a_recording_may_change_its_format():
    def frames():
        yield from Audio.from_samples(tones(1.0, 44_100, 2), 44_100).decode()
        yield from Audio.from_samples(tones(0.5, 8_000, 1), 8_000).decode()

    # both parts at 16 kHz last 1.5 s
    counts = [frame.samples for frame in resample(frames(), SAMPLE_RATE, "mono")]
    assert sum(counts) == 24_000
