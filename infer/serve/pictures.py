"""The frames of a session as bytes: JPEG pictures, or fragmented MP4 with its sound."""

import struct
from fractions import Fraction
from typing import Any, Literal, Protocol, cast

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from jaxtyping import Float32

from infer.serve.session import TimedFrame
from jaxportrait.media.audio import SAMPLE_RATE
from jaxportrait.media.colors import to_picture
from jaxportrait.media.rates import exact_rate
from jaxportrait.portrait import Frame

FrameFormat = Literal["jpeg", "mp4"]

JPEG_QUALITY = 80
HEADER = struct.Struct("<Id")
"""Number of a frame and its seconds, before the bytes of a JPEG."""
SOUND_RATE = 48_000
"""Hz of the sound in MP4: browsers refuse AAC of 16 kHz in some forms."""
SOUND_BITS = 96_000
PRIMING = 1024
"""Samples that FFmpeg's AAC encoder puts before the sound."""
MOVIE_OPTIONS = {
    "movflags": "empty_moov+default_base_moof",
    # Microseconds: a fragment ends with every frame, and comes with the next one.
    "frag_duration": "1",
}
LIVE_X264 = {
    # No frame waits for a later one.
    "preset": "veryfast",
    "tune": "zerolatency",
    "crf": "23",
    "profile": "main",
}
KEYFRAME_SECONDS = 2


class PictureStream(Protocol):
    """Turns frames and their sound into messages.

    Attributes:
      mime: type of the joined messages, as browsers name it.
    """

    @property
    def mime(self) -> str: ...

    def convert(self, frame: Frame) -> Any:
        """Convert a frame; threads may do so."""
        ...

    def hear(self, samples: Float32[np.ndarray, " n"]) -> None:
        """Append sound, which frames to come belong to."""
        ...

    def pack(self, frame: TimedFrame[Any]) -> list[bytes]:
        """Return the messages of a converted frame and the sound that belongs to it."""
        ...

    def finish(self) -> list[bytes]:
        """Return the messages that remain."""
        ...


class JpegStream:
    """A JPEG picture a message, behind its number and time; the client has the
    sound."""

    mime = "image/jpeg"

    def convert(self, frame: Frame) -> bytes:
        # OpenCV's order of colours is the reverse.
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        _, data = cv2.imencode(".jpg", frame[..., ::-1], options)
        return data.tobytes()

    def hear(self, samples: Float32[np.ndarray, " n"]) -> None:
        pass

    def pack(self, frame: TimedFrame[bytes]) -> list[bytes]:
        return [HEADER.pack(frame.index, frame.time) + frame.picture]

    def finish(self) -> list[bytes]:
        return []


class Mp4Stream:
    """H.264 and AAC in fragments of a frame each; joined, they are one MP4 file.

    Args:
      size: width and height in pixels, both even.
      fps: frames a second.
    """

    def __init__(self, size: tuple[int, int], fps: float):
        self._fps = exact_rate(fps)
        self._sink = _Sink()
        self._container = av.open(
            self._sink, "w", format="mp4", options=dict(MOVIE_OPTIONS)
        )
        self._pictures = self._add_pictures(size)
        stream = self._container.add_stream(
            "aac", rate=SOUND_RATE, layout="mono", bit_rate=SOUND_BITS
        )
        self._sound = cast(AudioStream, stream)
        self._resampler = av.AudioResampler("fltp", "mono", SOUND_RATE)
        self._fifo = av.AudioFifo()
        # The head of the file, which tells browsers what follows.
        self._container.start_encoding()

    @property
    def mime(self) -> str:
        # Profile and level, as RFC 6381 writes them: 3 bytes in hexadecimal digits.
        extradata = self._pictures.codec_context.extradata or b""
        return f'video/mp4; codecs="avc1.{profile_of(extradata)}, mp4a.40.2"'

    def convert(self, frame: Frame) -> av.VideoFrame:
        return to_picture(frame)

    def hear(self, samples: Float32[np.ndarray, " n"]) -> None:
        if len(samples) == 0:
            return
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None]), format="fltp", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE
        self._buffer(self._resampler.resample(frame))

    def pack(self, frame: TimedFrame[av.VideoFrame]) -> list[bytes]:
        picture = frame.picture
        picture.pts = frame.index
        picture.time_base = 1 / self._fps
        # Sound first: behind a picture, FFmpeg would count the next one's time twice.
        self._mux_sound(self._sound_until((frame.index + 1) / self._fps))
        self._container.mux(self._pictures.encode(picture))
        return self._sink.take()

    def finish(self) -> list[bytes]:
        self._buffer(self._resampler.resample(None))
        self._mux_sound(self._fifo.read(0, partial=True))
        self._container.mux(self._sound.encode(None))
        self._container.mux(self._pictures.encode(None))
        self._container.close()
        return self._sink.take()

    def _add_pictures(self, size: tuple[int, int]) -> VideoStream:
        options = {**LIVE_X264, "g": str(round(KEYFRAME_SECONDS * self._fps))}
        stream = self._container.add_stream("libx264", rate=self._fps, options=options)
        pictures = cast(VideoStream, stream)
        pictures.width, pictures.height = size
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.time_base = 1 / self._fps
        # Threads would hold frames back.
        pictures.codec_context.thread_count = 1
        return pictures

    def _buffer(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts = None  # the fifo counts for itself
            self._fifo.write(frame)
        # The encoder's run-up takes the place of the first 21 ms.
        if self._fifo.samples_read == 0:
            self._fifo.read(PRIMING)

    def _sound_until(self, seconds: Fraction) -> av.AudioFrame | None:
        """Return the sound up to `seconds` that is not encoded yet."""
        due = round(seconds * SOUND_RATE) - self._fifo.samples_read
        return self._fifo.read(due, partial=True) if due > 0 else None

    def _mux_sound(self, piece: av.AudioFrame | None) -> None:
        if piece is not None:
            self._container.mux(self._sound.encode(piece))


class _Sink:
    """A file that only grows; what was written is taken away."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        """Return what was written since the last call, joined: a message at most."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return [data] if data else []


def profile_of(extradata: bytes) -> str:
    """Return profile, constraints and level of H.264, from its parameter sets.

    Args:
      extradata: Annex B, in which the parameter set of a sequence (type 7) has them
        behind its first byte.
    """
    for start in range(len(extradata) - 7):
        is_start = extradata[start : start + 3] == b"\0\0\1"
        if is_start and extradata[start + 3] & 0x1F == 7:
            return extradata[start + 4 : start + 7].hex()
    return "4d401f"


def open_stream(
    format: FrameFormat, size: tuple[int, int], fps: float
) -> PictureStream:
    """Return the stream of a client's choice."""
    return JpegStream() if format == "jpeg" else Mp4Stream(size, fps)
