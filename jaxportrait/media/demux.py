"""Media files on the host: opened, and read packet by packet."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from jaxportrait.media.lengths import is_complete
from jaxportrait.media.memory import MediaFile

# Tags in an old encoding are no reason to stop; from PyAV 19 on they never are.
IS_OLD_PYAV = int(av.__version__.partition(".")[0]) < 19
TAGS: dict[str, Any] = {"metadata_errors": "replace"} if IS_OLD_PYAV else {}


def open_media(path: MediaFile) -> InputContainer:
    """Open a media file for reading.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a folder or a pipe, or no file that PyAV can read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the name")
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file: pass an audio or video file")
    try:
        # Absolute, so that no name can read as a protocol.
        is_path = isinstance(path, Path)
        file = str(path.absolute()) if is_path else path.open()
        return av.open(file, **TAGS)
    except FFmpegError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): pass an intact audio or video file"
        ) from error


def video_streams(container: InputContainer) -> list[VideoStream]:
    """List the streams of moving pictures that can be decoded.

    Cover pictures of music files are none.
    """
    streams = []
    for stream in container.streams.video:
        is_cover = stream.disposition & Disposition.attached_pic
        if stream.codec_context and not is_cover:
            streams.append(stream)
    return streams


def read_packets(
    path: MediaFile, container: InputContainer, stream: AudioStream | VideoStream
) -> Iterator[Packet]:
    """Yield the packets of one stream; the last one is empty, for the decoder's rest.

    Raises:
      ValueError: the file is truncated, or not readable any more.
    """
    position = 0.0
    try:
        # packets of all streams: a truncation shows in any of them
        for packet in container.demux():
            if packet.is_corrupt and not is_complete(path):
                raise ValueError(
                    f"{path} is truncated or corrupt after {position:.2f} s: use an intact copy"
                )
            if packet.stream is stream:
                position = _seconds(packet, position)
                yield packet
    except FFmpegError as error:
        raise corruption(path, position, error.strerror) from error


def _seconds(packet: Packet, default: float) -> float:
    """Return the time of a packet; `default` where it has none."""
    if packet.pts is None or packet.time_base is None:
        return default
    return in_seconds(packet.pts, packet.time_base)


def in_seconds(ticks: int, time_base: Fraction) -> float:
    """Return the length of ticks; the type of PyAV's time bases is its version's."""
    return ticks * time_base.numerator / time_base.denominator


def decode_stream(
    path: MediaFile,
    pick: Callable[[InputContainer], AudioStream | VideoStream],
    start: float | None = None,
) -> Iterator[Any]:
    """Decode one stream of a file in order of presentation.

    Args:
      start: seconds on the file's clock; frames come from the last keyframe before it,
        where the file has an index. By default all do.

    Raises:
      ValueError: corrupt or truncated; the message says where.
    """
    position = 0.0
    with open_media(path) as container:
        stream = pick(container)
        if start is not None and stream.time_base:
            ticks = int(start / stream.time_base)
            container.seek(ticks, stream=stream, backward=True)
        for packet in read_packets(path, container, stream):
            try:
                frames = stream.decode(packet)
            except FFmpegError as error:
                raise corruption(path, position, error.strerror) from error
            for frame in frames:
                position = frame.time or position
                yield frame


def corruption(path: MediaFile, position: float, reason: str | None) -> ValueError:
    """Return the error of a file that cannot be decoded after `position` seconds."""
    return ValueError(
        f"{path} is corrupt after {position:.2f} s ({reason}): use an intact copy"
    )
