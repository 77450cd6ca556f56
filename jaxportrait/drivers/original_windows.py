"""The windows of JoyVASA: end to end over a sound between stretches of silence."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float32

from jaxportrait.features.base import Stream
from jaxportrait.media.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Silence:
    """Samples of silence before and after a sound."""

    before: int
    after: int = 0

    def around(self, stream: Stream) -> Stream:
        """Return the stream of a sound with this silence around it."""

        def padded() -> Iterator[Float32[np.ndarray, " n"]]:
            yield np.zeros(self.before, np.float32)
            yield from stream()
            if self.after:
                yield np.zeros(self.after, np.float32)

        return padded


def count_windows(samples: int, length: int, fps: float) -> tuple[int, int]:
    """Return how many windows a sound has, and how many frames they keep.

    Args:
      samples: length of the sound with its silence.
      length: frames of a window.
      fps: frames a second.

    Source: JoyVASA, whose rounding is kept: near a whole number of windows, its floats
    count a window less than whole numbers would.
    """
    frames = int(samples / SAMPLE_RATE * fps)
    windows = max(1, ceil(frames / length))
    # Frames beyond the sound are cut from the last window.
    samples_of_frame = round(SAMPLE_RATE / fps)
    missing = samples_of_frame * length * windows - samples
    surplus = max(0, ceil(missing / samples_of_frame))
    return windows, windows * length - surplus
