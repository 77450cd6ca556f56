"""Movement of a face in its crops, which a still picture lacks, and the pictures of its
thumbnail."""

import cv2
import numpy as np
from jaxtyping import UInt8

from train.prepare.quality.evidence import THUMBNAILS

INTERVAL = 0.2
"""Seconds between two pictures that are compared."""
SIDE = 32
"""Pixels a side of the pictures that are compared; the noise of codecs is averaged."""
MOST_KEPT = 16 * THUMBNAILS


class MovementMeter:
    """Mean difference of a face's crops, a fifth of a second apart."""

    def __init__(self) -> None:
        self._last_time = -np.inf
        self._last: np.ndarray | None = None
        self._differences: list[float] = []
        self._shown: list[UInt8[np.ndarray, "s s 3"]] = []
        self._stride = 1
        self._count = 0

    def begin_shot(self) -> None:
        """Forget the last crop: the next one is not compared with it."""
        self._last = None
        self._last_time = -np.inf

    def is_due(self, seconds: float) -> bool:
        """Return whether a picture of that time counts."""
        # rounded times may lie a little closer
        return seconds - self._last_time >= INTERVAL - 1e-3

    def add(self, seconds: float, crop: UInt8[np.ndarray, "s s 3"]) -> None:
        """Add the crop of a picture."""
        if not self.is_due(seconds):
            return
        self._last_time = seconds
        gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        values = small.astype(np.float32)
        if self._last is not None:
            self._differences.append(float(np.abs(values - self._last).mean()))
        self._last = values
        self._keep(crop)

    def _keep(self, crop: UInt8[np.ndarray, "s s 3"]) -> None:
        """Keep some crops, evenly spaced whatever the clip's length."""
        if self._count % self._stride == 0:
            self._shown.append(crop)
        self._count += 1
        if len(self._shown) > MOST_KEPT:
            # every other one goes: memory is bounded, and spacing stays even
            self._shown = self._shown[::2]
            self._stride *= 2

    @property
    def movement(self) -> float | None:
        """Mean difference in levels of 0 to 255; None for less than two pictures."""
        if not self._differences:
            return None
        return round(float(np.mean(self._differences)), 4)

    @property
    def pictures(self) -> list[UInt8[np.ndarray, "s s 3"]]:
        """A few crops, evenly spaced."""
        count = min(THUMBNAILS, len(self._shown))
        # the middles of `count` equal parts
        places = [
            (2 * place + 1) * len(self._shown) // (2 * count) for place in range(count)
        ]
        return [self._shown[place] for place in places]
