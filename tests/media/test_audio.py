"""Sound through real files of every kind the program promises to read."""

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import pytest
from av.audio.stream import AudioStream

from jaxportrait.media.audio import SAMPLE_RATE, Audio, resample

EDGE = 400  # samples at 16 kHz that resamplers and codecs shape at both ends


def tones(seconds: float, rate: int, channels: int) -> np.ndarray:
    """Return the same 200 Hz tone in every channel, each louder than the one before, so
    that only their mean has amplitude 0.25."""
    times = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 200 * times)
    loudness = np.arange(1, channels + 1) * 0.5 / (channels + 1)
    samples = tone[:, None] * loudness
    return samples.astype(np.float32)


def set_time(frame: av.AudioFrame, rate: int, start: int) -> None:
    """Let a frame begin at sample `start`."""
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = start


def write_sound(path: Path, samples: np.ndarray, rate: int, codec: str) -> Path:
    layout = f"{samples.shape[1]}c"
    with av.open(str(path), "w") as container:
        added = container.add_stream(codec, rate=rate, layout=layout)
        stream = cast(AudioStream, added)
        for start in range(0, len(samples), 4096):
            block = np.ascontiguousarray(samples[start : start + 4096])
            # packed: the channels of a sample lie side by side
            packed = block.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
            set_time(frame, rate, start)
            container.mux(stream.encode(frame))
        # what the encoder still holds
        container.mux(stream.encode(None))
    return path


def write_wave(folder: Path, seconds: float) -> Path:
    """Write a wave file of a tone, 16 bits at 16 kHz."""
    samples = tones(seconds, 16_000, 1)
    return write_sound(folder / "a.wav", samples, 16_000, "pcm_s16le")


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


def read_samples(audio: Audio) -> np.ndarray:
    """Return the whole clip as mono at 16 kHz."""
    return np.concatenate(list(audio.stream()))


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
    # an m4a is decoded to the end of its last packet
    if name != "a.m4a":
        assert audio.duration == pytest.approx(1.3, abs=1e-12)


def test_every_stream_starts_at_the_beginning_and_comes_by_the_second():
    audio = Audio.from_samples(tones(2.5, 44_100, 1), 44_100)
    assert [len(chunk) for chunk in audio.stream()] == [16_000, 16_000, 8_000]
    np.testing.assert_array_equal(read_samples(audio), read_samples(audio))


def test_length_is_counted_where_a_piped_wave_states_none(tmp_path):
    path = write_wave(tmp_path, 1.0)
    data = bytearray(path.read_bytes())
    # the sizes of the file and of its samples
    data[4:8] = b"\xff" * 4
    start = data.index(b"data") + 4
    data[start : start + 4] = b"\xff" * 4
    path.write_bytes(data)
    assert Audio.open(path).duration == 1.0


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
    with pytest.raises(ValueError, match="is a video: pass --driving-kind audio"):
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


def without_packets(path: Path, lost: range) -> Path:
    """Copy the recording at `path` without some of its packets."""
    cut = path.with_stem("cut")
    with av.open(str(path)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        # a packet without a timestamp ends the file
        packets = [packet for packet in source.demux() if packet.dts is not None]
        for index, packet in enumerate(packets):
            if index not in lost:
                packet.stream = stream
                target.mux(packet)
    return cut


@pytest.mark.parametrize("name", ["a.webm", "a.mka"])
def test_a_pause_in_opus_is_silence(tmp_path, name):
    whole = write_sound(tmp_path / name, tones(4.0, 48_000, 1), 48_000, "libopus")
    # a packet lasts 20 ms
    audio = Audio.open(without_packets(whole, range(100, 120)))
    duration = Audio.open(whole).duration
    assert audio.duration == pytest.approx(duration, abs=0.02)
    loudness = np.abs(read_samples(audio))
    # samples within the pause from 2.0 to 2.4 s, and after it
    pause = slice(round(2.1 * SAMPLE_RATE), round(2.3 * SAMPLE_RATE))
    voice = slice(round(2.6 * SAMPLE_RATE), round(2.8 * SAMPLE_RATE))
    assert loudness[pause].max() < 1e-3
    assert loudness[voice].max() > 0.1
    with pytest.raises(ValueError, match=r"lacks its sound from 1\.\d+ to 3\.\d+ s"):
        Audio.open(without_packets(whole, range(100, 160)))


def test_a_truncated_wave_is_an_error(tmp_path):
    path = write_wave(tmp_path, 1.0)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(ValueError, match="truncated or corrupt after 0"):
        Audio.open(path)


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


@pytest.mark.parametrize(
    ("samples", "rate", "complaint"),
    [
        (np.zeros(0, np.float32), 16_000, r"lasts 0\.0000 s"),
        (
            np.zeros((2, 16_000), np.float32),
            16_000,
            r"1 to 8 channels, got \(2, 16000\)",
        ),
        (np.zeros(9, np.uint8), 16_000, "signed integers, got uint8"),
        (np.full(9, np.nan, np.float32), 16_000, "must be finite"),
        (np.zeros(9, np.float32), 0, "must be positive, got 0 Hz"),
    ],
)
def test_samples_that_are_no_sound(samples, rate, complaint):
    with pytest.raises(ValueError, match=complaint):
        Audio.from_samples(samples, rate)


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
