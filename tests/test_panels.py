"""Clips side by side."""

from itertools import repeat

import numpy as np

from jaxportrait.animation import Animation
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.panels import place_side_by_side

FRAMES = 3


def clip_of(size: tuple[int, int]) -> Animation:
    """Return a clip of grey frames that tell their number."""
    width, height = size

    def make_frames(finish):
        for number in range(FRAMES):
            yield finish(np.full((height, width, 3), 10 * number, np.uint8))

    expression = np.zeros((FRAMES, 21, 3), np.float32)
    motion = MotionClip(expression, None, None, None, 10)
    return Animation(size, 10, None, motion, expression, make_frames)


def count_up():
    for number in range(FRAMES):
        yield np.full((20, 20, 3), 100 + number, np.uint8)


def still():
    return repeat(np.full((128, 100, 3), 200, np.uint8))


def test_pictures_stand_on_the_left_at_the_frames_height(tmp_path):
    clip = place_side_by_side(clip_of((48, 64)), [count_up, still])
    # At a height of 64, 20 x 20 is 64 wide, and 100 x 128 is 50.
    assert clip.size == (64 + 50 + 48, 64)
    frames = list(clip)
    assert len(frames) == FRAMES
    for number, frame in enumerate(frames):
        assert frame.shape == (64, 162, 3)
        assert np.unique(frame[:, :64]) == 100 + number
        assert np.unique(frame[:, 64:114]) == 200
        assert np.unique(frame[:, 114:]) == 10 * number
    clip.save(tmp_path / "beside.mp4")
    assert VideoReader(tmp_path / "beside.mp4").size == (162, 64)


def test_an_odd_width_becomes_even():
    def odd():
        return repeat(np.zeros((64, 33, 3), np.uint8))

    # 33 and 64 are 97.
    assert place_side_by_side(clip_of((64, 64)), [odd]).size == (96, 64)
