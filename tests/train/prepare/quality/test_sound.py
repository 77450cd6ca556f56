"""Sound as the gates read it."""

import av
import numpy as np
import pytest

from tests.train.videos import voice, write_head
from train.prepare.quality.sound import (
    BANDS,
    share_of_silence,
    sound_checksum,
    spectrum,
)


def test_the_spectrum_is_the_same_in_any_chunks():
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    whole = spectrum([samples], 1600, 40)
    assert whole.shape == (40, BANDS)
    chunks = [samples[:700], samples[700:9001], samples[9001:]]
    assert np.array_equal(spectrum(chunks, 1600, 40), whole)
    # the first window begins at the start
    assert np.array_equal(spectrum([samples[1600:]], 0, 40), whole)


def test_silence_follows_the_end_of_the_sound():
    samples = np.ones(1600, np.float32)
    values = spectrum([samples], 0, 20)
    assert np.all(values[-5:] == values[-1, 0])
    assert values[-1, 0] == -10


def test_a_tone_is_in_its_band():
    seconds = np.arange(16_000) / 16_000
    low, high = (
        spectrum([np.float32(np.sin(2 * np.pi * hertz * seconds))], 0, 40)
        .astype(np.float32)
        .mean(axis=0)
        .argmax()
        for hertz in (300, 4000)
    )
    assert low < BANDS / 3 < high


def test_silence_is_a_share_of_the_frames():
    envelope = np.array([0, 0.0005, 0.01, 0.2], np.float32)
    assert share_of_silence(envelope) == 0.5


def test_another_container_has_the_same_sound(tmp_path):
    source = write_head(tmp_path / "a.mp4", seconds=0.5, sound=voice(0.5))
    copy = tmp_path / "a.mkv"
    with av.open(str(source)) as reader, av.open(str(copy), "w") as writer:
        streams = {
            stream: writer.add_stream_from_template(stream) for stream in reader.streams
        }
        for packet in reader.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                writer.mux(packet)
    assert sound_checksum(copy) == sound_checksum(source)
    other = write_head(tmp_path / "b.mp4", seconds=0.5, sound=voice(0.5, 200))
    assert sound_checksum(other) != sound_checksum(source)
    with pytest.raises(ValueError, match="no audio stream"):
        sound_checksum(write_head(tmp_path / "c.mp4", seconds=0.5))
