"""Small videos with a face, for tests of source videos."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from jaxportrait.media.audio import Audio
from jaxportrait.media.video import VideoReader
from jaxportrait.media.write import VideoWriter


def film_portrait(
    path: Path,
    portrait: np.ndarray,
    count: int,
    fps: float | Fraction = 10,
    audio: Audio | None = None,
) -> Path:
    """Write a portrait that moves to the right, a pixel a frame."""
    size = (portrait.shape[1], portrait.shape[0])
    with VideoWriter(path, size=size, fps=fps, audio=audio, crf=0) as writer:
        for frame in range(count):
            writer.write(np.roll(portrait, frame, axis=1))
    return path


def frames_of(path: Path) -> np.ndarray:
    return np.stack([picture for _, picture in VideoReader(path)])


def delay_sound(path: Path, video: Path, samples: np.ndarray, delay: float) -> Path:
    """Write a video with a sound that starts later on the file's clock.

    Args:
      video: a video without sound.
      samples: mono at 16 kHz.
      delay: seconds.
    """
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                target.mux(packet)
        values = np.int16(samples * 32767)[None]
        frame = av.AudioFrame.from_ndarray(values, "s16", "mono")
        frame.sample_rate = 16_000
        frame.time_base = Fraction(1, 16_000)
        frame.pts = round(delay * 16_000)
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    return path
