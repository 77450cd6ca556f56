"""Measures of a clip of sound, taken while it is decoded once."""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from jaxtyping import Float32

from jaxportrait.media.audio.frames import columns_of
from jaxportrait.media.audio.samples import (
    check_channels,
    check_peak,
    check_sample_rate,
    find_peak,
)

SILENCE = 1e-3
"""Peak of a track that is silent, of full scale 1."""
LEAST_ENERGY = 0.1
"""Energy of the mean of all channels over the mean of their energies, below which they
cancel each other. Independent channels have one over their number."""


class Meter:
    """Length, format and loudness of a clip.

    Attributes:
      name: name of the file, for messages.
      seconds: length by the count of decoded samples.
      start: seconds of the first decoded frame on the file's clock.
      last: last decoded frame; None before.
      count: number of resampled samples.
    """

    def __init__(self, name: str):
        self.name = name
        self.seconds = Fraction(0)
        self.start = 0.0
        self.last: av.AudioFrame | None = None
        self.count = 0
        self._peak = 0.0
        self._resampled_peak = 0.0
        # of every channel, and of their mean
        self._energies = np.zeros(0)
        self._mean_energy = 0.0

    def watch(self, frames: Iterator[av.AudioFrame]) -> Iterator[av.AudioFrame]:
        """Pass decoded frames on.

        Raises:
          ValueError: samples, a sample rate or channels that are no sound.
        """
        for frame in frames:
            if self.last is None:
                self.start = frame.time or 0.0
            check_sample_rate(frame.sample_rate, self.name)
            check_channels(frame.layout.nb_channels, self.name)
            peak = find_peak(frame, self.seconds, self.name)
            self._peak = max(self._peak, peak)
            self.seconds += Fraction(frame.samples, frame.sample_rate)
            self.last = frame
            yield frame
        check_peak(self._peak, self.name)

    def add(self, frame: av.AudioFrame) -> None:
        """Add a resampled frame."""
        columns = columns_of(frame)
        self.count += len(columns)
        self._resampled_peak = max(self._resampled_peak, peak_of(columns))
        self._mean_energy += energies(columns.mean(axis=1, keepdims=True)).sum()
        self._add_energies(energies(columns))

    def _add_energies(self, values: np.ndarray) -> None:
        # a recording may change its number of channels
        if len(self._energies) < len(values):
            missing = len(values) - len(self._energies)
            self._energies = np.pad(self._energies, (0, missing))
        self._energies[: len(values)] += values

    @property
    def is_silent(self) -> bool:
        """True for a track in which nobody speaks."""
        return self._resampled_peak < SILENCE

    @property
    def channel(self) -> int | None:
        """The loudest channel where the channels cancel each other, as two of opposite
        polarity do; None where their mean is the sound."""
        if self._mean_energy >= LEAST_ENERGY * self._energies.mean():
            return None
        return int(self._energies.argmax())


def peak_of(columns: Float32[np.ndarray, "n c"]) -> float:
    return float(np.abs(columns).max(initial=0))


def energies(columns: Float32[np.ndarray, "n c"]) -> np.ndarray:
    """Return the sum of squares of every channel."""
    return np.square(columns, dtype=np.float64).sum(axis=0)
