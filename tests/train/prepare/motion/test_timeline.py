"""The clock of pictures and sound."""

import numpy as np
import pytest

from jaxportrait.media.audio import Audio
from tests.media.audio.sounds import remux, write_sound
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


def test_sound_lags_by_less_than_a_frame_anywhere(tmp_path):
    # bursts of a tenth of a second, two a second
    times = np.arange(30 * 48_000) / 48_000
    burst = np.sin(2 * np.pi * 200 * times) * (times % 0.5 < 0.1)
    samples = 0.5 * burst.astype(np.float32)[:, None]
    whole = write_sound(tmp_path / "whole.mka", samples, 48_000, "libopus")

    # every thirtieth packet of 20 ms is lost: a second in all
    def keep(index, packet) -> bool:
        return index % 30 != 29

    audio = Audio.open(remux(whole, keep))
    assert len(audio.gaps) == 50
    expected = onsets(Audio.open(whole))
    # two a second; the first one has no silence before it
    assert len(expected) == 59
    # a burst may begin where a packet is lost
    starts = onsets(audio)[:, None]
    lag = np.abs(starts - expected)
    assert lag.min(axis=0).max() <= 1


def onsets(audio: Audio) -> np.ndarray:
    """Return the frames of thirty seconds at which bursts begin."""
    envelope = loudness(audio.stream(), np.arange(30 * 30))
    loud = envelope > 0.2
    (rises,) = np.nonzero(loud[1:] & ~loud[:-1])
    return rises


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
