"""Small videos for tests."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxportrait.media.audio import Audio
from jaxportrait.media.write import VideoWriter


def noise_frames(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def noise_sound(seconds: float, rate: int = 48_000, channels: int = 1) -> Audio:
    samples = 0.1 * np.random.default_rng(1).standard_normal(
        (round(seconds * rate), channels)
    )
    return Audio.from_samples(samples, rate)


def write(
    path: Path,
    frames: Iterable[np.ndarray],
    size=(64, 64),
    fps=30,
    audio=None,
    **options,
) -> Path:
    with VideoWriter(path, size=size, fps=fps, audio=audio, **options) as writer:
        for frame in frames:
            writer.write(frame)
    return path
