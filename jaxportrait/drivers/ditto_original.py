"""Ditto's own windows, offline and live, defects included: one after the other, with a
cross-fade between two and a frame of the last one handed to the next.

Source: Ditto, its workers and its motion generator.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from jaxportrait.motion.binned import smooth_pose

Motion = Float32[np.ndarray, "n d"]


@dataclass(frozen=True)
class PublishedWindows:
    """Windows as published.

    Attributes:
      length: frames of a window.
      overlap: frames that it shares with the window before.
      live: frames are emitted while sound arrives, and the cross-fade is as long as a
        window's new frames at most.
      reset_every: after so many windows the frame before the next one is the reference;
        0 for never.
      continued: first value, and the one after the last, that a reset leaves as the
        motion has them.
      smoothing: frames of the mean of scale, angles and translation.
    """

    length: int
    overlap: int
    live: bool = False
    reset_every: int = 0
    continued: tuple[int, int] = (0, 0)
    smoothing: int = 3

    @property
    def fresh(self) -> int:
        """New frames of a window."""
        return self.length - self.overlap

    @property
    def fade(self) -> int:
        """Frames of the cross-fade."""
        return min(self.overlap, self.fresh) if self.live else self.overlap


@dataclass(frozen=True)
class Progress:
    """Motion so far.

    Attributes:
      motion: the last frames of all windows so far, or all of them.
      windows: how many windows made it.
      earlier: the frame before the next window, as the network reads it.
    """

    motion: Motion
    windows: int
    earlier: Float32[np.ndarray, " d"]


Sample = Callable[[Progress, Float32[np.ndarray, "t v"], int], Motion]
"""sample(progress, values (t, v), number of the first frame) -> a window's motion."""


def start_motion(reference: Float32[np.ndarray, " d"]) -> Progress:
    """Return the state before the first window."""
    return Progress(np.zeros((0, len(reference)), np.float32), 0, reference)


def add_window(
    windows: PublishedWindows,
    progress: Progress,
    predicted: Motion,
    reference: Float32[np.ndarray, " d"],
) -> Progress:
    """Return the motion with one window more.

    Args:
      predicted: motion of the window.
      reference: the frame before the first window.
    """
    if progress.windows == 0:
        motion = smooth_pose(predicted, windows.smoothing)
    else:
        motion = smooth_joint(windows, cross_fade(windows, progress.motion, predicted))
    count = progress.windows + 1
    last = motion[len(motion) - windows.overlap - 1]
    return Progress(motion, count, hand_on(windows, count, last, reference))


def cross_fade(windows: PublishedWindows, motion: Motion, predicted: Motion) -> Motion:
    """Return motion whose last frames turn into those of the next window."""
    fade = windows.fade
    # It starts at 0, so that the first frame is the last window's.
    weight = (np.arange(fade, dtype=np.float32) / np.float32(fade))[:, None]
    start = windows.overlap - fade
    mixed = motion[-fade:] * (1 - weight) + predicted[start : windows.overlap] * weight
    return np.concatenate([motion[:-fade], mixed, predicted[windows.overlap :]])


def smooth_joint(windows: PublishedWindows, motion: Motion) -> Motion:
    """Return motion that is smoothed around its last cross-fade."""
    stop = len(motion) - windows.fresh + 1
    start = stop - 1 - windows.fade
    # Neighbours on both sides are read, and stay as they are.
    smoothed = motion.copy()
    smoothed[start:stop] = smooth_pose(motion, windows.smoothing)[start:stop]
    return smoothed


def hand_on(
    windows: PublishedWindows,
    count: int,
    last: Float32[np.ndarray, " d"],
    reference: Float32[np.ndarray, " d"],
) -> Float32[np.ndarray, " d"]:
    """Return the frame before the next window, as the network reads it.

    Args:
      count: windows so far.
      last: the frame of the motion that stands there.
    """
    if windows.reset_every == 0 or count % windows.reset_every:
        return last
    earlier = reference.copy()
    values = slice(*windows.continued)
    earlier[values] = last[values]
    return earlier


def make_offline(
    windows: PublishedWindows,
    values: Float32[np.ndarray, "frames v"],
    reference: Float32[np.ndarray, " d"],
    sample: Sample,
) -> tuple[Motion, Motion]:
    """Return the motion of a whole sound before and after its last smoothing.

    Args:
      values: frames of the condition.
      reference: the frame before the first window.
      sample: makes the motion of a window.
    """
    frames = len(values)
    progress = start_motion(reference)
    for start in range(0, frames, windows.fresh):
        rows = _pad_last(values[start : start + windows.length], windows.length)
        # A window past the end repeats the last row.
        predicted = sample(progress, rows, start)
        progress = add_window(windows, progress, predicted, reference)
    # Smoothed a second time, as published.
    motion = progress.motion[:frames]
    return motion, smooth_pose(motion, windows.smoothing)


class PublishedStream:
    """Windows over features that arrive in pieces.

    Features of silence, as many as windows overlap, stand before the sound.

    Attributes:
      anchor: the first frame, of silence, from which motion is counted; None before the
        first window.
    """

    def __init__(
        self,
        windows: PublishedWindows,
        silence: Float32[np.ndarray, "overlap a"],
        reference: Float32[np.ndarray, " d"],
        sample: Sample,
    ):
        self.anchor: Float32[np.ndarray, " d"] | None = None
        self._windows = windows
        self._reference = reference
        self._sample = sample
        self._progress = start_motion(reference)
        self._features = silence
        self._arrived = silence[:0]
        # Numbers of the next window's first frame, and of the next frame to emit within
        # the motion so far.
        self._start = -windows.overlap
        self._emitted = 0

    def push(self, features: Float32[np.ndarray, "n a"]) -> Motion:
        """Return the frames that features complete, which may be none."""
        self._arrived = np.concatenate([self._arrived, features])
        # Published workers wait for as many features as a window adds.
        if len(self._arrived) < self._windows.fresh:
            return self._progress.motion[:0]
        self._take()
        return self._run(self._windows.length)

    def finish(self) -> Motion:
        """Return the remaining frames; the last feature is repeated."""
        self._take()
        pieces = [self._run(self._windows.length), self._run(1)]
        return np.concatenate(pieces)

    def _take(self) -> None:
        self._features = np.concatenate([self._features, self._arrived])
        self._arrived = self._arrived[:0]

    def _run(self, least: int) -> Motion:
        """Run every window that has at least so many features."""
        pieces = [self._progress.motion[:0]]
        while len(self._features) >= least:
            pieces.append(self._run_window())
        return np.concatenate(pieces)

    def _run_window(self) -> Motion:
        """Return the frames that the next window emits; the first one emits none."""
        windows = self._windows
        rows = self._features[: windows.length]
        # A last window that is not full emits what it has.
        count = windows.fresh if len(rows) == windows.length else len(rows)
        rows = _pad_last(rows, windows.length)
        predicted = self._sample(self._progress, rows, self._start)
        progress = add_window(windows, self._progress, predicted, self._reference)
        self._features = self._features[count:]
        self._start += count
        if self.anchor is None:
            self.anchor = progress.motion[0]
            self._emitted = len(progress.motion) - windows.fade
            self._progress = progress
            return progress.motion[:0]
        frames = progress.motion[self._emitted : self._emitted + count]
        self._emitted += count
        self._progress = self._trim(progress)
        return frames

    def _trim(self, progress: Progress) -> Progress:
        """Return the last frames, which later windows read: memory stays flat."""
        surplus = max(0, len(progress.motion) - 2 * self._windows.length)
        self._emitted -= surplus
        return Progress(progress.motion[surplus:], progress.windows, progress.earlier)


def _pad_last(
    values: Float32[np.ndarray, "n v"], length: int
) -> Float32[np.ndarray, "length v"]:
    missing = length - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
