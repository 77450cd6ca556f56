"""Blinks by a curve, at times that a seed decides."""

from itertools import islice, repeat

import numpy as np
import pytest

from jaxportrait.drivers.blinks import (
    EYES,
    OPEN,
    blink_offsets,
    blink_rows,
    draw_intervals,
    published_rows,
    replace_eyes,
)
from jaxportrait.motion.clip import MotionClip
from tests.arrays import draw

CURVE = draw(15, 63, seed=1)


def test_intervals_are_from_60_to_100_frames_and_depend_on_the_seed():
    intervals = list(islice(draw_intervals(3), 500))
    assert (min(intervals), max(intervals)) == (60, 100)
    assert intervals[:9] == list(islice(draw_intervals(3), 9))
    assert intervals[:9] != list(islice(draw_intervals(4), 9))


def test_blinks_do_not_depend_on_the_length():
    long = blink_rows(600, 15, draw_intervals(0))
    short = blink_rows(217, 15, draw_intervals(0))
    np.testing.assert_array_equal(long[:217], short)
    # A blink is a run of all rows of the curve.
    first = int(np.argmax(long != OPEN))
    assert 60 <= first <= 100
    np.testing.assert_array_equal(long[first : first + 15], np.arange(15))
    assert long[first + 15] == OPEN


@pytest.mark.parametrize(("count", "blinks"), [(120, 0), (201, 1)])
def test_published_short_clips_have_no_blink_and_others_one(count, blinks):
    # The end of a clip is as long as an interval.
    rows = published_rows(count, 15, draw_intervals(1))
    assert int((rows == 14).sum()) == blinks
    assert rows.min() == 0


def test_open_eyes_have_no_offset():
    offsets = blink_offsets(CURVE, blink_rows(6, 15, repeat(3)))
    np.testing.assert_array_equal(offsets[:3], 0)
    np.testing.assert_array_equal(offsets[3:].reshape(3, 63), CURVE[:3])


def test_only_eyes_are_replaced():
    clip = MotionClip(draw(4, 21, 3, seed=2), None, None, None, 25.0)
    offsets = np.ones((4, 21, 3), np.float32)
    changed = replace_eyes(clip, clip[:1], offsets)
    assert changed.expression is not None
    assert clip.expression is not None
    # Lips, brows and cheeks.
    others = [keypoint for keypoint in range(21) if keypoint not in EYES]
    np.testing.assert_array_equal(
        changed.expression[:, others], clip.expression[:, others]
    )
    expected = np.repeat(clip.expression[:1, EYES] + 1, 4, axis=0)
    np.testing.assert_array_equal(changed.expression[:, EYES], expected)
