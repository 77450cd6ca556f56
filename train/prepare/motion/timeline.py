"""One clock for pictures and sound: motion of any frame rate at 30 frames a second,
counted from the sound's start."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from jaxportrait.media.audio import SAMPLE_RATE
from jaxportrait.motion.space import MOTION_FPS
from train.data.records import WINDOW_FRAMES, WINDOW_STEP

LONGEST_GAP = 0.25  # seconds between pictures; motion is not made up over more
SPARE_SOUND = 0.1  # seconds that the sound may end early: encoders cut it so
ROUNDING = 1e-3  # frames; times in containers are rounded


def common_frames(
    times: Float64[np.ndarray, " pictures"], sound_start: float, sound_seconds: float
) -> Int[np.ndarray, " frames"]:
    """The motion frames that both pictures and sound cover; frame i lies i / 30 s after
    the sound's start.

    They start at a multiple of 3, where an audio feature starts.

    Args:
      times: of the pictures, in seconds.
      sound_start: on the same clock.

    Raises:
      ValueError: pictures are missing, or less than a window is left.
    """
    if len(times) < 2:
        raise ValueError(f"{len(times)} picture in the video: motion needs two")
    interval = np.diff(times)
    if interval.max() > LONGEST_GAP:
        gap = times[interval.argmax()]
        raise ValueError(
            f"no picture for {interval.max():.2f} s after {gap:.2f} s: cut the clip there"
        )
    half = np.median(interval) / 2
    first = (
        max(
            0,
            np.ceil(
                (times[0] - half - sound_start) * MOTION_FPS / WINDOW_STEP - ROUNDING
            ),
        )
        * WINDOW_STEP
    )
    end = min(times[-1] + 2 * half, sound_start + sound_seconds + SPARE_SOUND)
    frames = np.arange(
        first, np.floor((end - sound_start) * MOTION_FPS + ROUNDING), dtype=np.int64
    )
    if len(frames) < WINDOW_FRAMES:
        raise ValueError(
            f"{len(frames) / MOTION_FPS:.2f} s of pictures with sound: a clip needs {WINDOW_FRAMES / MOTION_FPS:.2f} s"
        )
    return frames


def motion_at(
    motion: Float[np.ndarray, "pictures d"],
    times: Float64[np.ndarray, " pictures"],
    at: Float64[np.ndarray, " frames"],
) -> Float32[np.ndarray, "frames d"]:
    """Read motion linearly between pictures; before the first and after the last one it
    rests.

    Angles are read like the rest: the extractor's lie within a right angle of zero, so
    none wraps.
    """
    return np.stack(
        [np.interp(at, times, column) for column in motion.T.astype(np.float64)], axis=1
    ).astype(np.float32)


def loudness(
    chunks: Iterable[Float32[np.ndarray, " samples"]],
    frames: Int[np.ndarray, " frames"],
) -> Float32[np.ndarray, " frames"]:
    """Root mean square of 16 kHz samples over a thirtieth of a second around each
    frame; silence after the end."""
    energy, counts, position = np.zeros(frames[-1] + 1), np.zeros(frames[-1] + 1), 0
    for chunk in chunks:
        nearest = np.floor(
            (position + np.arange(chunk.size)) * (MOTION_FPS / SAMPLE_RATE) + 0.5
        ).astype(np.int64)
        heard = nearest < len(energy)
        energy += np.bincount(
            nearest[heard], np.square(chunk[heard], dtype=np.float64), len(energy)
        )
        counts += np.bincount(nearest[heard], minlength=len(energy))
        position += chunk.size
    return np.sqrt(energy / np.maximum(counts, 1))[frames].astype(np.float32)
