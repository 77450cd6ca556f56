"""Bytes that are no sound, before, between and after the frames of mp3 and AAC."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.media.audio import Audio
from jaxportrait.media.audio.raw import adts_frame_size, mp3_frame_size
from tests.media.audio.sounds import tones, write_sound

APE_TAG = b"APETAGEX" + bytes(24)
LYRICS = b"LYRICSBEGIN" + b"IND00002100" + b"000020LYRICS200"
ID3V1 = b"TAG" + bytes(125)


@pytest.fixture(scope="module")
def mp3(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    return write_sound(path, tones(2.0, 16_000, 1), 16_000, "libmp3lame").read_bytes()


@pytest.fixture(scope="module")
def adts(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("aac") / "a.aac"
    return write_sound(path, tones(2.0, 16_000, 1), 16_000, "aac").read_bytes()


def id3v2(size: int) -> bytes:
    """Return a tag of ID3 version 4 with padding."""
    return b"ID3\x04\0\0" + bytes([0, 0, size >> 7, size & 127]) + bytes(size)


def duration(folder: Path, data: bytes, name: str = "b.mp3") -> float:
    path = folder / name
    path.write_bytes(data)
    return Audio.open(path).duration


@pytest.mark.parametrize(
    "tail",
    [b"\0", bytes(2000), id3v2(42), APE_TAG, LYRICS + ID3V1, b"\xff" * 300],
    ids=["byte", "padding", "id3v2", "ape", "lyrics3", "ones"],
)
def test_what_follows_the_last_frame_does_not_matter(tmp_path, mp3, tail):
    assert duration(tmp_path, mp3 + tail) == pytest.approx(2.0, abs=0.052)


@pytest.mark.parametrize(
    "between",
    [b"", bytes(26), ID3V1, id3v2(42), ID3V1 + id3v2(300)],
    ids=["nothing", "junk", "id3v1", "id3v2", "both"],
)
def test_joined_recordings_are_both_heard(tmp_path, mp3, between):
    # without the second one's own tag, and with it
    for start in (0, mp3.index(b"\xff")):
        joined = mp3 + between + mp3[start:]
        assert duration(tmp_path, joined) == pytest.approx(4.0, abs=0.052)


def test_joined_streams_of_aac_lose_no_frame(tmp_path, adts):
    single = duration(tmp_path, adts, "a.aac")
    joined = duration(tmp_path, adts + id3v2(63) + adts, "b.aac")
    assert joined == pytest.approx(2 * single, abs=1e-6)


def test_a_stream_cut_in_its_last_frame_is_heard_before_it(tmp_path, adts):
    frame = 1024 / 16_000
    expected = duration(tmp_path, adts, "a.aac") - frame
    assert duration(tmp_path, adts[:-3], "b.aac") == pytest.approx(expected, abs=frame)


@pytest.mark.parametrize("kind", ["zeros", "ones", "noise"])
def test_overwritten_frames_are_damage(tmp_path, mp3, adts, kind):
    noise = np.random.default_rng(0).bytes(2000)
    junk = {"zeros": bytes(2000), "ones": b"\xff" * 2000, "noise": noise}[kind]
    for name, data in (("a.mp3", mp3), ("a.aac", adts)):
        middle = len(data) // 2
        damaged = data[:middle] + junk + data[middle + 2000 :]
        with pytest.raises(ValueError, match=r"corrupt after [01]\.\d\d s"):
            duration(tmp_path, damaged, name)


@pytest.mark.parametrize(
    ("head", "size"),
    [
        # MPEG 1 at 128 kbit/s and 44.1 kHz, without padding and with it
        ("fffb9000", 417),
        ("fffb9200", 418),
        # MPEG 2 at 40 kbit/s and 16 kHz, MPEG 2.5 at 8 kbit/s and 8 kHz
        ("fff358c0", 180),
        ("ffe318c0", 72),
        # layer II, a reserved version, a reserved rate, no frame
        ("fffd9000", 0),
        ("ffeb9000", 0),
        ("fffb9c00", 0),
        ("49443304", 0),
    ],
)
def test_sizes_of_mp3_frames(head, size):
    assert mp3_frame_size(bytes.fromhex(head)) == size


def test_sizes_of_aac_frames():
    # 13 bits: 371
    assert adts_frame_size(bytes.fromhex("fff160402e7ffc")) == 371
    assert adts_frame_size(b"ID3\x04\0\0") == 0
    assert adts_frame_size(b"\xff\xf1") == 0
