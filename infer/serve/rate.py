"""Resampling of motion that is still being made."""

import numpy as np

from jaxportrait.motion.clip import MotionClip, concatenate


class LiveRate:
    """Motion at another rate, frame by frame as `MotionClip.resample` makes it.

    Args:
      source: frames a second of the motion that is pushed.
      target: frames a second of the result.
    """

    def __init__(self, source: float, target: float):
        self._source = source
        self._target = target
        # Motion from frame `_first` on, which frames to come lie between.
        self._pending: MotionClip | None = None
        self._first = 0
        self._count = 0

    def push(self, motion: MotionClip) -> MotionClip:
        """Return the frames that more motion completes."""
        if self._source == self._target:
            self._count += len(motion)
            return motion
        self._add(motion)
        end = self._first + len(self._all)
        # Frame i lies at i * source / target, up to the last motion there is.
        complete = int(np.floor((end - 1) * self._target / self._source + 1e-6)) + 1
        return self._take(complete if end else 0)

    def finish(self, motion: MotionClip, total: int) -> MotionClip:
        """Return what is missing to `total` frames; the last motion is held."""
        if self._source == self._target:
            return motion
        self._add(motion)
        return self._take(total)

    @property
    def _all(self) -> MotionClip:
        assert self._pending is not None
        return self._pending

    def _add(self, motion: MotionClip) -> None:
        # Before the first frame, a clip knows no rest.
        if self._pending is None or len(self._pending) == 0:
            self._pending = motion
        else:
            self._pending = concatenate([self._pending, motion])

    def _take(self, stop: int) -> MotionClip:
        """Return the frames up to `stop`, and forget motion that is not needed."""
        indices = np.arange(self._count, max(stop, self._count))
        positions = indices * (self._source / self._target) - self._first
        last = len(self._all) - 1
        clip = self._all.at(np.clip(positions, 0, max(last, 0)), self._target)
        self._count += len(indices)
        # The next frame lies at or after this one.
        next_position = self._count * self._source / self._target - self._first
        forget = min(int(next_position), max(last, 0))
        self._pending = self._all[forget:]
        self._first += forget
        return clip
