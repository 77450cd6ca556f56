"""Frames of sound: cut, silent, resampled."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby

import av
import numpy as np
from jaxtyping import Float32


def resample(
    frames: Iterator[av.AudioFrame],
    sample_rate: int,
    layout: str | None = None,
    frame_size: int = 0,
) -> Iterator[av.AudioFrame]:
    """Resample frames to packed float32.

    Frames may change their format on the way, as in joined recordings.

    Args:
      sample_rate: Hz; n samples at rate r become n * sample_rate / r, rounded up or
        down.
      layout: channels to mix to, scaled so that the mix cannot clip; None leaves them.
      frame_size: samples per frame, except for the last frame of a format; 0 leaves
        frames as they come.
    """
    # a resampler serves frames of one format
    for _, run in groupby(frames, _format_of):
        resampler = av.AudioResampler(
            "flt", layout, sample_rate, frame_size, {"rematrix_maxval": "1"}
        )
        for frame in run:
            yield from resampler.resample(frame)
        yield from resampler.resample(None)


def _format_of(frame: av.AudioFrame) -> tuple[str, str, int]:
    return (frame.format.name, frame.layout.name, frame.sample_rate)


def columns_of(frame: av.AudioFrame) -> Float32[np.ndarray, "n c"]:
    """Return the samples of a packed float32 frame, a column a channel."""
    return frame.to_ndarray().reshape(frame.samples, -1)


def silence_like(frame: av.AudioFrame, seconds: float) -> av.AudioFrame:
    """Return a silent frame in the format of another frame."""
    count = round(seconds * frame.sample_rate)
    silent = av.AudioFrame(frame.format.name, frame.layout.name, count)
    silent.sample_rate = frame.sample_rate
    # silence of 8 bits is the middle of their range
    zero = b"\x80" if frame.format.name.startswith("u8") else b"\0"
    for plane in silent.planes:
        plane.update(zero * plane.buffer_size)
    return silent


def cut_frame(frame: av.AudioFrame, start: int, stop: int) -> av.AudioFrame | None:
    """Return samples `start` to `stop` of a frame, without a time where it is cut; None
    if there are none."""
    if start <= 0 and stop >= frame.samples:
        return frame
    if start >= min(stop, frame.samples):
        return None
    fifo = av.AudioFifo()
    # the fifo counts for itself
    frame.pts = None
    fifo.write(frame)
    if start > 0:
        fifo.read(start)
    rest = fifo.read(min(stop, frame.samples) - max(start, 0))
    if rest is not None:
        rest.pts = None
    return rest


def frames_of_samples(
    samples: Float32[np.ndarray, "n c"], sample_rate: int
) -> Iterator[av.AudioFrame]:
    """Cut samples into frames of a second."""
    layout = f"{samples.shape[1]}c"
    for start in range(0, len(samples), sample_rate):
        block = np.ascontiguousarray(samples[start : start + sample_rate])
        # packed: the channels of a sample lie side by side
        packed = block.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
        frame.sample_rate = sample_rate
        frame.time_base = Fraction(1, sample_rate)
        frame.pts = start
        yield frame
