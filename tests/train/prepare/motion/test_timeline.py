"""The clock of pictures and sound."""

import numpy as np
import pytest

from train.prepare.motion.timeline import common_frames, loudness, motion_at


@pytest.mark.parametrize(
    ("fps", "count", "frames"),
    [(30, 36, 36), (25, 30, 36), (60, 72, 36), (24000 / 1001, 24, 30)],
)
def test_any_frame_rate_becomes_thirty(fps, count, frames):
    times = np.arange(count) / fps
    at = common_frames(times, 0.0, 10.0)
    np.testing.assert_array_equal(at, np.arange(frames))

    # motion that is known at any time
    motion = np.stack([np.sin(times), 90 * times], axis=1)
    resampled = motion_at(motion, times, at / 30)

    # beyond the last picture, motion rests
    inside = at / 30 <= times[-1]
    np.testing.assert_allclose(resampled[inside, 1], 90 * at[inside] / 30, atol=1e-4)
    np.testing.assert_allclose(resampled[inside, 0], np.sin(at[inside] / 30), atol=3e-4)


def test_frames_start_where_pictures_and_a_feature_do():
    times = np.arange(60) / 30
    # the first picture comes at frame 7.5: frame 9 starts a feature
    late = common_frames(times + 0.25, 0.0, 10.0)
    np.testing.assert_array_equal(late, np.arange(9, 67))

    # the sound starts late
    np.testing.assert_array_equal(common_frames(times, 0.5, 10.0), np.arange(0, 45))

    # the sound ends early
    np.testing.assert_array_equal(common_frames(times, 0.0, 1.5), np.arange(0, 48))


def test_gaps_and_short_clips_are_refused():
    numbers = np.concatenate([np.arange(15), np.arange(44, 90)])

    # 29 pictures are missing
    with pytest.raises(ValueError, match=r"no picture for 1\.00 s after 0\.47 s"):
        common_frames(numbers / 30, 0.0, 10.0)

    # half a second is less than a window
    with pytest.raises(ValueError, match=r"0\.50 s of pictures with sound"):
        common_frames(np.arange(15) / 30, 0.0, 10.0)

    # motion needs two pictures
    with pytest.raises(ValueError, match="1 picture"):
        common_frames(np.zeros(1), 0.0, 10.0)


def test_loudness_does_not_depend_on_chunks():
    # half a second of silence, then half a second at a constant level
    samples = np.concatenate([np.zeros(8000), np.full(8000, 0.5)]).astype(np.float32)

    whole = loudness([samples], np.arange(45))
    chunks = np.array_split(samples, 7)
    np.testing.assert_array_equal(whole, loudness(chunks, np.arange(45)))

    # frames in silence, in sound, and after the end
    expected = [0, 0, 0.5, 0.5, 0, 0]
    np.testing.assert_allclose(whole[[3, 14, 16, 29, 31, 44]], expected, atol=1e-7)

    # a part of the frames has the same loudness
    np.testing.assert_array_equal(loudness([samples], np.arange(12, 45)), whole[12:])
