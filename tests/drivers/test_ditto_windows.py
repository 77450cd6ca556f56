"""Ditto's own windows: counts of frames, what they hand on, and memory that stays
flat."""

import numpy as np
import pytest

from jaxportrait.drivers.ditto_windows import (
    PublishedStream,
    PublishedWindows,
    hand_on,
    make_offline,
)
from jaxportrait.motion.binned import BINNED_WIDTH

REFERENCE = np.zeros(BINNED_WIDTH, np.float32)


def copy_first_value(_, values: np.ndarray, start: int) -> np.ndarray:
    """Return motion whose every number is the first of the features."""
    return np.repeat(values[:, :1], BINNED_WIDTH, axis=1)


def indices(first: int, stop: int) -> np.ndarray:
    """Return features that say which frame they belong to."""
    return np.arange(first, stop, dtype=np.float32)[:, None]


def make_stream(overlap: int, smoothing: int = 3) -> PublishedStream:
    """Return live windows of 80 frames."""
    windows = PublishedWindows(80, overlap, live=True, smoothing=smoothing)
    return PublishedStream(windows, REFERENCE, copy_first_value)


def frames_out(overlap: int, features: int) -> list[float]:
    """Return the frames that a live sound shows, by their numbers."""
    stream = make_stream(overlap, smoothing=1)
    # Features before the sound have negative numbers.
    silence = indices(-overlap, 0)
    state = stream.begin(silence)
    pieces = []
    for first in range(0, features, 5):
        stop = min(first + 5, features)
        frames, state = stream.push(state, indices(first, stop))
        pieces.append(frames)
    last, _ = stream.finish(state)
    pieces.append(last)
    motion = np.concatenate(pieces)
    return motion[:, 0].tolist()


def test_live_counts_are_the_published_ones(golden):
    table = np.load(golden / "ditto" / "audio.npz")["online_counts"]
    for overlap, features, count, first, last in table:
        shown = frames_out(int(overlap), int(features))
        assert len(shown) == count, (overlap, features)
        if count:
            assert round(shown[0]) == first
            assert round(shown[-1]) == last


def test_offline_counts_are_the_published_ones(golden):
    windows = PublishedWindows(80, 10)
    table = np.load(golden / "ditto" / "audio.npz")["offline_counts"]
    for features, count, frames in table:
        values = indices(0, features)
        motion, final = make_offline(windows, values, REFERENCE, copy_first_value)
        assert len(motion) == len(final) == frames
        # The last window starts before the end of the sound.
        assert len(range(0, features, windows.fresh)) == count


def test_a_frame_of_the_motion_is_handed_on():
    last = np.ones(BINNED_WIDTH, np.float32)
    plain = PublishedWindows(80, 10)
    np.testing.assert_array_equal(hand_on(plain, 1, last, REFERENCE), last)
    held = PublishedWindows(80, 10, reset_every=2, continued=(0, 202))
    # Every second window starts from the reference's expression.
    np.testing.assert_array_equal(hand_on(held, 1, last, REFERENCE), last)
    earlier = hand_on(held, 2, last, REFERENCE)
    assert earlier[:202].tolist() == [1] * 202
    assert earlier[202:].tolist() == [0] * 63


def test_memory_stays_flat():
    stream = make_stream(70)
    state = stream.begin(indices(-70, 0))
    for first in range(0, 1000, 5):
        _, state = stream.push(state, indices(first, first + 5))
    assert len(state.progress.motion) <= 160 + stream.windows.fresh
    assert len(state.features) < 80


def test_a_short_sound_has_an_anchor_and_no_frames():
    stream = make_stream(70)
    state = stream.begin(indices(-70, 0))
    first, state = stream.push(state, indices(0, 5))
    last, state = stream.finish(state)
    # Its first window is all silence.
    assert (len(first), len(last)) == (0, 0)
    assert len(state.anchor) == 1


@pytest.mark.parametrize("overlap", [10, 70])
def test_the_cross_fade_is_as_long_as_published(overlap):
    assert PublishedWindows(80, overlap).fade == overlap
    assert PublishedWindows(80, overlap, live=True).fade == 10
