"""Frames as bytes, in time with their sound."""

from io import BytesIO

import av
import cv2
import numpy as np

from infer.serve.pictures import HEADER, JpegStream, Mp4Stream
from infer.serve.session import TimedFrame


def flash(index: int) -> np.ndarray:
    """Return a frame that is white in the second second."""
    return np.full((64, 64, 3), 255 if index >= 25 else 0, np.uint8)


def click(index: int) -> np.ndarray:
    """Return the sound of a frame, with a click at a second."""
    sound = np.zeros(640, np.float32)
    if index == 25:
        sound[:160] = 1
    return sound


def test_a_jpeg_has_its_number_and_time():
    stream = JpegStream()
    (data,) = stream.pack(TimedFrame(30, 1.2, stream.convert(flash(30))))
    assert HEADER.unpack(data[: HEADER.size]) == (30, 1.2)
    picture = cv2.imdecode(np.frombuffer(data[HEADER.size :], np.uint8), 1)
    assert picture.shape == (64, 64, 3)
    assert picture.min() > 250


def test_fragments_are_one_video_in_time_with_its_sound():
    stream = Mp4Stream((64, 64), 25)
    messages = []
    for index in range(50):
        stream.hear(click(index))
        picture = stream.convert(flash(index))
        pieces = stream.pack(TimedFrame(index, index / 25, picture))
        # Two frames are enough for the first fragment.
        assert pieces or index == 1
        messages += pieces
    messages += stream.finish()
    data = b"".join(messages)
    assert stream.mime.startswith('video/mp4; codecs="avc1.4d')
    with av.open(BytesIO(data)) as file:
        frames = [
            (frame.time, frame.to_ndarray(format="gray"))
            for frame in file.decode(video=0)
        ]
    assert len(frames) == 50
    bright = next(time for time, picture in frames if picture.mean() > 128)
    assert bright == 1
    with av.open(BytesIO(data)) as file:
        sound = np.concatenate(
            [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
        )
    loud = np.argmax(np.abs(sound) > 0.3) / 48_000
    # A sample of 48 kHz lasts 0.02 ms; the frame 40 ms.
    assert abs(loud - bright) < 0.001


def test_a_session_without_frames_ends():
    assert len(Mp4Stream((64, 64), 25).finish()) <= 1
