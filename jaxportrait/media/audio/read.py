"""Decoding of a file's sound, as players hear it."""

from collections.abc import Callable, Iterator

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from jaxportrait.media.audio.clock import Gap, SoundClock
from jaxportrait.media.audio.frames import cut_frame
from jaxportrait.media.audio.raw import FRAME_SIZES, split_packet, start_delay
from jaxportrait.media.demux import (
    corruption,
    in_seconds,
    open_media,
    read_packets,
    video_streams,
)
from jaxportrait.media.memory import MediaFile

WITHOUT_CLOCK = ("aac", "ac3", "dts", "eac3", "flac", "mp3", "tta", "wv")
"""Formats without timestamps: a gap is what FFmpeg has skipped."""
STATES_END = ("ogg", "matroska,webm")
"""Formats in which FFmpeg skips damage silently; both state when the sound ends."""
LAST_FRAME_IS_PADDED = "mov,mp4"
"""Formats whose last packet states a shorter duration than it decodes to."""


def sound_tracks(container: InputContainer) -> list[AudioStream]:
    """List the streams of sound that can be decoded.

    Raises:
      ValueError: there is none.
    """
    tracks = [stream for stream in container.streams.audio if stream.codec_context]
    if not tracks:
        raise ValueError(
            f"{container.name} has no audio stream that can be decoded: pass a file with sound"
        )
    return tracks


def stated_end(container: InputContainer) -> float:
    """Return the time at which a sound file states to end, if decoding must reach it;
    else 0."""
    if container.format.name not in STATES_END or video_streams(container):
        return 0.0
    # the longest of several tracks ends then
    if len(container.streams.audio) > 1:
        return 0.0
    return (container.duration or 0) / av.time_base


def decode_audio(
    path: MediaFile, track: int = 0, on_gap: Callable[[Gap], None] = lambda gap: None
) -> Iterator[av.AudioFrame]:
    """Decode the sound of a file without gaps by its clock.

    Args:
      path: the file.
      track: number among the streams of sound that can be decoded.
      on_gap: called for every gap that silence fills.

    Raises:
      ValueError: corrupt, truncated, or with too long a gap.
    """
    with open_media(path) as container:
        stream = sound_tracks(container)[track]
        name = container.format.name
        clock = SoundClock(path, on_gap, can_pause=name not in WITHOUT_CLOCK)
        packets = read_packets(path, container, stream)
        if name in FRAME_SIZES:
            frames = decode_raw(path, packets, stream, name, clock)
        else:
            frames = decode_packets(packets, stream, clock)
        frames = on_clock(frames, clock)
        if name.startswith(LAST_FRAME_IS_PADDED):
            frames = without_padding(frames)
        yield from frames


def on_clock(
    frames: Iterator[av.AudioFrame], clock: SoundClock
) -> Iterator[av.AudioFrame]:
    """Yield frames, with silence where the clock finds none."""
    for frame in frames:
        yield from clock.place(frame)


def decode_packets(
    packets: Iterator[Packet], stream: AudioStream, clock: SoundClock
) -> Iterator[av.AudioFrame]:
    """Decode packets, and leave complaints to the clock."""
    for packet in packets:
        yield from decode_packet(packet, stream, clock)


def decode_packet(
    packet: Packet, stream: AudioStream, clock: SoundClock
) -> list[av.AudioFrame]:
    """Return the frames of a packet; none if it cannot be decoded."""
    try:
        return stream.codec_context.decode(packet)
    except FFmpegError as error:
        clock.complain(error.strerror)
        return []


def decode_raw(
    path: MediaFile,
    packets: Iterator[Packet],
    stream: AudioStream,
    name: str,
    clock: SoundClock,
) -> Iterator[av.AudioFrame]:
    """Decode mp3 or AAC without the bytes between its frames.

    Raises:
      ValueError: these bytes are long enough to have been sound.
    """
    # samples of an appended recording that come before its sound
    excess = 0
    for packet in packets:
        piece = split_packet(bytes(packet), name)
        delay = start_delay(piece.frame) if name == "mp3" else None
        # it belongs to no frame of sound
        if delay is not None:
            clock.restart()
            excess = delay
            continue
        if piece.may_hide_sound:
            reason = f"{len(piece.junk)} bytes that are no sound"
            raise corruption(path, clock.position, reason)
        if piece.junk:
            packet = replace_data(packet, piece.frame)
        for frame in decode_packet(packet, stream, clock):
            rest = cut_frame(frame, excess, frame.samples)
            excess -= min(excess, frame.samples)
            if rest is not None:
                yield rest


def replace_data(packet: Packet, data: bytes) -> Packet:
    """Return a packet with the times of another one."""
    new = Packet(data)
    new.time_base = packet.time_base
    new.pts = packet.pts
    new.dts = packet.dts
    return new


def without_padding(frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Cut the last frame to the duration that its packet states."""
    last = None
    for frame in frames:
        if last is not None:
            yield last
        last = frame
    if last is None:
        return
    rest = cut_frame(last, 0, stated_samples(last))
    if rest is not None:
        yield rest


def stated_samples(frame: av.AudioFrame) -> int:
    """Return the samples of a frame by its duration; all where it has none."""
    if not frame.duration or not frame.time_base:
        return frame.samples
    seconds = in_seconds(frame.duration, frame.time_base)
    return round(seconds * frame.sample_rate)
