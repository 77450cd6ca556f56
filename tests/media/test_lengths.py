"""Lengths that files state, and programs that write into a pipe cannot know."""

from pathlib import Path

import av
import numpy as np
import pytest

from jaxportrait.media.audio import Audio
from tests.media.audio.sounds import encode, tones, write_wave

UNKNOWN = (0, 0x7FFFF000, 2_000_000_000, 0xFFFFFFFF)


def set_sizes(path: Path, riff: int | None, data: int | None) -> None:
    """State other sizes of a wave's chunks and of its samples."""
    content = bytearray(path.read_bytes())
    if riff is not None:
        content[4:8] = riff.to_bytes(4, "little")
    if data is not None:
        start = content.index(b"data") + 4
        content[start : start + 4] = data.to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize("data", UNKNOWN)
@pytest.mark.parametrize("riff", [36, None, *UNKNOWN])
def test_a_wave_of_unknown_length_is_read_to_its_end(tmp_path, riff, data):
    path = write_wave(tmp_path, 2.0)
    set_sizes(path, riff, data)
    assert Audio.open(path).duration == 2.0


@pytest.mark.parametrize("sizes", [(None, None), (0, None), (None, 0xFFFFFFFF)])
def test_a_wave_that_is_cut_is_an_error(tmp_path, sizes):
    path = write_wave(tmp_path, 2.0)
    set_sizes(path, *sizes)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"truncated or corrupt after 1\.\d\d s"):
        Audio.open(path)


class Pipe:
    """A file that can only be written from its start to its end."""

    def __init__(self, path: Path):
        self._file = path.open("wb")

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize(
    ("kind", "codec"), [("wav", "pcm_s16le"), ("caf", "pcm_s16be"), ("au", "pcm_s16be")]
)
def test_what_was_written_into_a_pipe_is_read_to_its_end(tmp_path, kind, codec):
    path = tmp_path / f"a.{kind}"
    pipe = Pipe(path)
    with av.open(pipe, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=16_000, layout="mono")
        container.mux(encode(stream, tones(2.0, 16_000, 1), 16_000))
    pipe.close()
    assert Audio.open(path).duration == 2.0


def test_a_caf_that_is_cut_is_an_error(tmp_path):
    path = tmp_path / "a.caf"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16be", rate=16_000, layout="mono")
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (32_000, 1))
        container.mux(encode(stream, noise.astype(np.float32), 16_000))
    assert Audio.open(path).duration == 2.0
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="truncated or corrupt after 1"):
        Audio.open(path)
