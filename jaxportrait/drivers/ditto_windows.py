"""Ditto's own windows, offline and live, defects included: one after the other, with a
cross-fade between two and a frame of the last one handed to the next.

Source: Ditto, its workers and its motion generator.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from jaxportrait.motion.binned import smooth_pose
from jaxportrait.types import pytree

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


@pytree
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
    reach = windows.smoothing // 2
    first = max(0, start - reach)
    around = smooth_pose(motion[first : stop + reach], windows.smoothing)
    smoothed = motion.copy()
    smoothed[start:stop] = around[start - first : stop - first]
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


@pytree
@dataclass(frozen=True)
class StreamState:
    """State of windows over features that arrive in pieces.

    Attributes:
      features: those that windows to come read.
      arrived: features that no window has waited for yet.
      progress: motion so far; its last frames, which later windows read.
      start: number of the next window's first frame.
      emitted: number of the next frame to emit, within the motion so far.
      anchor: the first frame, of silence, from which motion is counted; none before the
        first window.
    """

    features: Float32[np.ndarray, "n a"]
    arrived: Float32[np.ndarray, "m a"]
    progress: Progress
    start: int
    emitted: int
    anchor: Motion


@dataclass(frozen=True)
class PublishedStream:
    """Windows over features that arrive in pieces.

    Features of silence, as many as windows overlap, stand before the sound.

    Attributes:
      windows: the windows.
      reference: the frame before the first window.
      sample: makes the motion of a window.
    """

    windows: PublishedWindows
    reference: Float32[np.ndarray, " d"]
    sample: Sample

    def begin(self, silence: Float32[np.ndarray, "overlap a"]) -> StreamState:
        """Return the state before the first feature.

        Args:
          silence: features of silence.
        """
        progress = start_motion(self.reference)
        start = -self.windows.overlap
        return StreamState(silence, silence[:0], progress, start, 0, progress.motion)

    def push(
        self, state: StreamState, features: Float32[np.ndarray, "n a"]
    ) -> tuple[Motion, StreamState]:
        """Return the frames that features complete, which may be none, and the next
        state."""
        arrived = np.concatenate([state.arrived, features])
        state = replace(state, arrived=arrived)
        # Published workers wait for as many features as a window adds.
        if len(arrived) < self.windows.fresh:
            return state.progress.motion[:0], state
        return self._run(_accept(state), self.windows.length)

    def finish(self, state: StreamState) -> tuple[Motion, StreamState]:
        """Return the remaining frames, and the last state; the last feature is
        repeated."""
        # First whole windows, then one that is not full.
        whole, state = self._run(_accept(state), self.windows.length)
        last, state = self._run(state, 1)
        return np.concatenate([whole, last]), state

    def _run(self, state: StreamState, least: int) -> tuple[Motion, StreamState]:
        """Run every window that has at least so many features."""
        pieces = [state.progress.motion[:0]]
        while len(state.features) >= least:
            frames, state = self._run_window(state)
            pieces.append(frames)
        return np.concatenate(pieces), state

    def _run_window(self, state: StreamState) -> tuple[Motion, StreamState]:
        """Return the frames that the next window emits; the first one emits none."""
        windows = self.windows
        rows = state.features[: windows.length]
        # A last window that is not full emits what it has.
        count = windows.fresh if len(rows) == windows.length else len(rows)
        rows = _pad_last(rows, windows.length)
        predicted = self.sample(state.progress, rows, state.start)
        progress = add_window(windows, state.progress, predicted, self.reference)
        state = replace(
            state,
            features=state.features[count:],
            progress=progress,
            start=state.start + count,
        )
        if len(state.anchor) == 0:
            emitted = len(progress.motion) - windows.fade
            anchor = progress.motion[:1]
            return progress.motion[:0], replace(state, emitted=emitted, anchor=anchor)
        stop = state.emitted + count
        frames = progress.motion[state.emitted : stop]
        return frames, _trim(replace(state, emitted=stop), 2 * windows.length)


def _accept(state: StreamState) -> StreamState:
    """Return the state whose next windows read what has arrived."""
    features = np.concatenate([state.features, state.arrived])
    return replace(state, features=features, arrived=state.arrived[:0])


def _trim(state: StreamState, length: int) -> StreamState:
    """Return the state with the last frames of its motion: memory stays flat."""
    progress = state.progress
    surplus = max(0, len(progress.motion) - length)
    progress = replace(progress, motion=progress.motion[surplus:])
    return replace(state, progress=progress, emitted=state.emitted - surplus)


def _pad_last(
    values: Float32[np.ndarray, "n v"], length: int
) -> Float32[np.ndarray, "length v"]:
    missing = length - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
