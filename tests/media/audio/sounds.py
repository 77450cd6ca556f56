"""Recordings made for tests: tones, files of every kind, and files with a flaw."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet

from jaxportrait.media.audio import Audio


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


def encode(stream: AudioStream, samples: np.ndarray, rate: int) -> list[Packet]:
    """Return the packets of samples, a column a channel."""
    layout = f"{samples.shape[1]}c"
    packets = []
    for start in range(0, len(samples), 4096):
        block = np.ascontiguousarray(samples[start : start + 4096])
        # packed: the channels of a sample lie side by side
        packed = block.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        set_time(frame, rate, start)
        packets += stream.encode(frame)
    # what the encoder still holds
    return packets + stream.encode(None)


def write_sound(path: Path, samples: np.ndarray, rate: int, codec: str) -> Path:
    layout = f"{samples.shape[1]}c"
    with av.open(str(path), "w") as container:
        added = container.add_stream(codec, rate=rate, layout=layout)
        stream = cast(AudioStream, added)
        container.mux(encode(stream, samples, rate))
    return path


def write_wave(folder: Path, seconds: float) -> Path:
    """Write a wave file of a tone, 16 bits at 16 kHz."""
    samples = tones(seconds, 16_000, 1)
    return write_sound(folder / "a.wav", samples, 16_000, "pcm_s16le")


def write_tracks(path: Path, tracks: list[np.ndarray]) -> Path:
    """Write several tracks of samples at 16 kHz."""
    with av.open(str(path), "w") as container:
        streams = []
        for samples in tracks:
            layout = f"{samples.shape[1]}c"
            added = container.add_stream("pcm_s16le", rate=16_000, layout=layout)
            streams.append(cast(AudioStream, added))
        for stream, samples in zip(streams, tracks, strict=True):
            container.mux(encode(stream, samples, 16_000))
    return path


def remux(
    path: Path, change: Callable[[int, Packet], bool], name: str = "changed"
) -> Path:
    """Copy a recording packet by packet.

    Args:
      path: the recording.
      change: called with each packet and its number; it may change the packet's times.
        The packet is left out unless the result is true.
      name: stem of the copy.
    """
    copy = path.with_stem(name)
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        # a packet without a timestamp ends the file
        packets = [packet for packet in source.demux() if packet.dts is not None]
        for index, packet in enumerate(packets):
            if change(index, packet):
                packet.stream = stream
                target.mux(packet)
    return copy


def without_packets(path: Path, lost: range) -> Path:
    """Copy the recording at `path` without some of its packets."""
    return remux(path, lambda index, packet: index not in lost, "cut")


def shift(packet: Packet, seconds: float) -> None:
    """Let a packet come later."""
    base = packet.time_base
    ticks = round(seconds * base.denominator / base.numerator)
    packet.pts = (packet.pts or 0) + ticks
    packet.dts = (packet.dts or 0) + ticks


def read_samples(audio: Audio) -> np.ndarray:
    """Return the whole clip as mono at 16 kHz."""
    return np.concatenate(list(audio.stream()))
