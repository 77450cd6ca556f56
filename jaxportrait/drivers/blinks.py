"""Blinks by Ditto's curve: offsets of the expression in each frame of a blink, at times
that a seed decides.

Source: Ditto, its curve of blinks and their intervals.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import jax
import numpy as np
from jaxtyping import Float32, Int, PRNGKeyArray

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import REGIONS

Blinks = Literal["model", "curve", "off"]

OPEN = -1
"""Row of a frame without a blink."""
INTERVALS = (60, 100)
"""Least and largest number of frames between two blinks."""
PUBLISHED_FRAMES = 3000
"""Frames of the published table of blinks where the length is not known."""
BLINK_KEY = 0x626C
"""Number that splits the seed of blinks from that of sampling."""
EYES = list(REGIONS["eyes"])


@dataclass(frozen=True)
class BlinkCurve:
    """A curve of blinks.

    Attributes:
      offsets: offsets of the expression in each frame of a blink.
      is_published: blinks are at the published times, and row 0 stands for open eyes.
    """

    offsets: Float32[np.ndarray, "b 63"]
    is_published: bool = False

    def rows(
        self, seed: int, first: int, count: int, total: int | None
    ) -> Int[np.ndarray, " count"]:
        """Return the row of each frame, or `OPEN`; see `add_blinks`."""
        length = len(self.offsets)
        intervals = draw_intervals(seed)
        frames = np.arange(first, first + count)
        if not self.is_published:
            return blink_rows(first + count, length, intervals)[frames]
        # Without an end, the table of a long clip is played again and again.
        table = published_rows(total or PUBLISHED_FRAMES, length, intervals)
        return table[frames % len(table)]


def add_blinks(
    clip: MotionClip,
    rest: MotionClip,
    blinks: Blinks,
    curve: BlinkCurve,
    key: PRNGKeyArray,
    first: int = 0,
    total: int | None = None,
) -> MotionClip:
    """Return a clip with the blinks of a curve, with none, or as it is.

    Args:
      rest: one frame with open eyes.
      key: key of the sampling, which decides the times.
      first: number of the clip's first frame.
      total: frames of the whole clip; None for a live one.
    """
    if blinks == "model" or len(clip) == 0:
        return clip
    # Eyes that do not blink are open in all frames.
    rows = np.full(len(clip), OPEN)
    if blinks == "curve":
        # The second half of a key is a seed of 32 bits.
        seed = int(jax.random.key_data(key)[-1])
        rows = curve.rows(seed, first, len(clip), total)
    return replace_eyes(clip, rest, blink_offsets(curve.offsets, rows))


def draw_intervals(seed: int) -> Iterator[int]:
    """Yield the frames before the first blink, and then from one to the next."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(BLINK_KEY,)))
    while True:
        yield int(random.integers(*INTERVALS, endpoint=True))


def blink_rows(
    count: int, length: int, intervals: Iterator[int], last: int | None = None
) -> Int[np.ndarray, " count"]:
    """Return the row of the curve of each frame, or `OPEN`.

    Args:
      count: number of frames.
      length: frames of a blink.
      intervals: frames before the first blink, and from each to the next.
      last: frame from which no blink starts.
    """
    # Eyes are open wherever no blink is drawn.
    rows = np.full(count, OPEN)
    start = next(intervals)
    while start < (count if last is None else last):
        # A clip may end within a blink.
        stop = min(start + length, count)
        rows[start:stop] = np.arange(stop - start)
        start += length + next(intervals)
    return rows


def published_rows(
    count: int, length: int, intervals: Iterator[int]
) -> Int[np.ndarray, " count"]:
    """Return the row of the curve of each frame as published: row 0 while eyes are
    open, and no blink near the end.

    Args:
      intervals: frames before the first blink and after the last, and then from one to
        the next.
    """
    # The first interval is drawn before that of the end.
    before = next(intervals)
    after = next(intervals)

    def remaining() -> Iterator[int]:
        yield before
        yield from intervals

    last = count - max(after, length)
    rows = blink_rows(count, length, remaining(), last)
    return np.maximum(rows, 0)


def blink_offsets(
    curve: Float32[np.ndarray, "b 63"], rows: Int[np.ndarray, " n"]
) -> Float32[np.ndarray, "n 21 3"]:
    """Return the offsets of the expression in frames with these rows; open eyes have
    none."""
    offsets = curve[rows] * (rows != OPEN)[:, None]
    return offsets.reshape(len(rows), -1, 3)


def replace_eyes(
    clip: MotionClip, rest: MotionClip, offsets: Float32[np.ndarray, "n 21 3"]
) -> MotionClip:
    """Return a clip whose eyes are those of `rest`, one frame, with offsets."""
    if clip.expression is None or rest.expression is None:
        raise ValueError("the motion has no expression, and so no eyes")
    # Lips and all else stay those of the model.
    expression = clip.expression.copy()
    expression[:, EYES] = rest.expression[:, EYES] + offsets[:, EYES]
    return replace(clip, expression=expression)
