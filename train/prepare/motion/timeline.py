"""One clock for pictures and sound: motion of any frame rate at 30 frames a second,
counted from the sound's start."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int16

from jaxportrait.features.base import Stream
from jaxportrait.media.audio import SAMPLE_RATE
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.ops.curves import interpolate_rows
from train.data.records import (
    WINDOW_FRAMES,
    WINDOW_STEP,
    sample_at,
    samples_needed,
)

LONGEST_GAP = 0.25  # seconds between pictures; motion is not invented over more
SPARE_SOUND = 0.1  # seconds that the sound may end early: encoders cut it so
ROUNDING = 1e-3  # frames; times in containers are rounded


def common_frames(
    times: Float64[np.ndarray, " pictures"], sound_start: float, sound_seconds: float
) -> Int[np.ndarray, " frames"]:
    """Return the motion frames that both pictures and sound cover; frame i lies i / 30 s
    after the sound's start.

    They start at a multiple of 3, where an audio feature starts.

    Args:
      times: times of the pictures in seconds.
      sound_start: start of the sound on the same clock.
      sound_seconds: length of the sound.

    Raises:
      ValueError: pictures are missing, or less than a window is covered.
    """
    interval = _interval(times)
    # a picture stands for the time halfway to its neighbours
    start = times[0] - interval / 2 - sound_start
    # in steps of 3 frames: a tenth of a second
    step = np.ceil(start * MOTION_FPS / WINDOW_STEP - ROUNDING)
    first = max(0, step) * WINDOW_STEP
    sound_end = sound_start + sound_seconds + SPARE_SOUND
    end = min(times[-1] + interval, sound_end) - sound_start
    stop = np.floor(end * MOTION_FPS + ROUNDING)
    frames = np.arange(first, stop, dtype=np.int64)
    if len(frames) < WINDOW_FRAMES:
        seconds = len(frames) / MOTION_FPS
        least = WINDOW_FRAMES / MOTION_FPS
        raise ValueError(
            f"{seconds:.2f} s of pictures with sound: a clip needs {least:.2f} s"
        )
    return frames


def _interval(times: Float64[np.ndarray, " pictures"]) -> float:
    """Return the median interval between pictures; raise a ValueError for a gap."""
    if len(times) < 2:
        raise ValueError(f"{len(times)} picture in the video: motion needs two")
    intervals = np.diff(times)
    longest = intervals.argmax()
    if intervals[longest] > LONGEST_GAP:
        raise ValueError(
            f"no picture for {intervals[longest]:.2f} s after {times[longest]:.2f} s: cut the clip there"
        )
    # the median withstands single pictures that were dropped
    return float(np.median(intervals))


def motion_at(
    motion: Float[np.ndarray, "pictures d"],
    times: Float64[np.ndarray, " pictures"],
    at: Float64[np.ndarray, " frames"],
) -> Float32[np.ndarray, "frames d"]:
    """Interpolate motion linearly between pictures; it rests before the first and after
    the last one.

    Angles are interpolated like the rest: the extractor's lie within a right angle of
    zero, so none wraps.
    """
    # float64 keeps times of long clips exact
    return interpolate_rows(at, times, motion.astype(np.float64)).astype(np.float32)


def read_samples(stream: Stream, start: int, stop: int) -> Int16[np.ndarray, " n"]:
    """Return the samples that cover frames `start` to `stop`; silence after the end.

    Args:
      stream: 16-kHz sound.
      start: frame, a multiple of 3.
      stop: the frame after the last one.
    """
    first = sample_at(start)
    samples = np.zeros(samples_needed(stop - start), np.int16)
    position = -first
    for chunk in stream():
        # Only the samples of these frames.
        part = chunk[max(0, -position) : max(0, samples.size - position)]
        place = max(0, position)
        samples[place : place + part.size] = _sixteen_bits(part)
        position += chunk.size
    return samples


def _sixteen_bits(samples: Float32[np.ndarray, " n"]) -> Int16[np.ndarray, " n"]:
    levels = np.round(samples * 32_768)
    return np.clip(levels, -32_768, 32_767).astype(np.int16)


def loudness(
    chunks: Iterable[Float32[np.ndarray, " samples"]],
    frames: Int[np.ndarray, " frames"],
) -> Float32[np.ndarray, " frames"]:
    """Return the root mean square of 16 kHz samples over a thirtieth of a second around
    each frame; silence after the end."""
    size = frames[-1] + 1
    energy = np.zeros(size)
    counts = np.zeros(size)
    position = 0
    for chunk in chunks:
        # samples count from the sound's start, across chunks
        samples = position + np.arange(chunk.size)
        nearest = np.floor(samples * (MOTION_FPS / SAMPLE_RATE) + 0.5).astype(np.int64)
        inside = nearest < size
        squares = np.square(chunk[inside], dtype=np.float64)
        energy += np.bincount(nearest[inside], squares, size)
        counts += np.bincount(nearest[inside], minlength=size)
        position += chunk.size
    # frames without samples are silent
    return np.sqrt(energy / np.maximum(counts, 1))[frames].astype(np.float32)
