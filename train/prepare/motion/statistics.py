"""Mean and deviation of motion, accumulated in float64 as the records pass."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float64

from jaxportrait.motion.space import MOTION_WIDTH


def _zeros() -> Float64[np.ndarray, "70"]:
    return np.zeros(MOTION_WIDTH)


@dataclass
class MotionMoments:
    """Count, mean and squared deviations of the frames so far.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979.
    """

    count: int = 0
    mean: Float64[np.ndarray, "70"] = field(default_factory=_zeros)
    squares: Float64[np.ndarray, "70"] = field(default_factory=_zeros)

    def add(self, motion: Float[np.ndarray, "frames 70"]) -> None:
        """Add the frames of a record."""
        values = motion.astype(np.float64)
        mean = values.mean(axis=0)
        total = self.count + len(values)
        shift = mean - self.mean
        # the record's own squares, and those of the distance between both means
        self.squares += np.square(values - mean).sum(axis=0)
        self.squares += shift**2 * (self.count * len(values) / total)
        self.mean += shift * (len(values) / total)
        self.count = total

    @property
    def deviation(self) -> Float64[np.ndarray, "70"]:
        """Sample deviation (n - 1)."""
        return np.sqrt(self.squares / (self.count - 1))
