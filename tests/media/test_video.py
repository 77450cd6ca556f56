"""Videos read back: turned frames, clocks, and damage."""

from fractions import Fraction

import av
import numpy as np
import pytest

from jaxportrait.media.video import VideoReader
from tests.media.videos import noise_frames, noise_sound, write


def test_a_bare_stream_is_timed_by_its_rate(tmp_path):
    path = tmp_path / "a.h264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=64)
        for index, frame in enumerate(noise_frames(5)):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = index
            picture.time_base = Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    assert [seconds for seconds, _ in VideoReader(path)] == [
        0.0,
        0.04,
        0.08,
        0.12,
        0.16,
    ]


def write_growing(path, *sizes) -> None:
    """Write MPEG-TS whose frames have these sizes, one after the other."""
    parts = []
    for width, height in sizes:
        part = path.with_name("part.ts")
        with av.open(str(part), "w") as container:
            stream = container.add_stream("libx264", 25, {"preset": "ultrafast"})
            stream.width, stream.height = width, height
            picture = av.VideoFrame(width, height, "yuv420p")
            picture.pts = 0
            container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))


def test_frames_that_grow_beyond_the_first_are_refused(tmp_path):
    # Callers check the size of the first frame.
    path = tmp_path / "a.ts"
    write_growing(path, (64, 64), (2400, 1600))
    with pytest.raises(ValueError, match=r"a frame of 2400x1600 pixels after smaller"):
        list(VideoReader(path))


def test_frames_of_a_call_may_grow(tmp_path):
    path = tmp_path / "a.ts"
    write_growing(path, (64, 64), (640, 480))
    shapes = [frame.shape for _, frame in VideoReader(path)]
    assert shapes == [(64, 64, 3), (480, 640, 3)]


def test_damage_in_the_middle_is_an_error(tmp_path):
    path = write(tmp_path / "a.mp4", noise_frames(20))
    data = path.read_bytes()
    middle = len(data) // 2
    end = middle + 5000
    path.write_bytes(data[:middle] + bytes(5000) + data[end:])
    with pytest.raises(ValueError, match=r"is corrupt after 0\.\d\d s"):
        list(VideoReader(path))


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_video_cut_within_a_packet_is_an_error(tmp_path, kind):
    path = write(tmp_path / "a.mp4", noise_frames(30), audio=noise_sound(1.0))
    with av.open(str(path)) as container:
        packets = []
        for packet in container.demux():
            is_of_kind = packet.stream.type == kind
            if packet.size and is_of_kind:
                packets.append(packet)
    # The file ends within a packet of this kind.
    half = packets[len(packets) // 2]
    end = (half.pos or 0) + half.size // 2
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(ValueError, match="is truncated or corrupt after 0"):
        list(VideoReader(path))


def test_refuses_what_is_no_video(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
    with pytest.raises(FileNotFoundError, match=r"none\.mp4 does not exist"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match="cannot be read"):
        VideoReader(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match="no video stream"):
        VideoReader(tmp_path / "sound.wav")
