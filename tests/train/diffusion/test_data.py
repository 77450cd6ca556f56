"""Pairs of windows at 25 frames a second, with their features or their sound."""

from dataclasses import replace

import numpy as np
import pytest

from tests.train.diffusion.worlds import (
    CONFIG,
    FEATURE_WIDTH,
    STATISTICS,
    cut_pair,
    make_record,
    step_config,
)
from train.data.records import ClipRecord
from train.data.shards import DatasetError
from train.diffusion.config import SPACE
from train.diffusion.data import PairCut, resample_frames
from train.diffusion.step import DENOISER

SIZES = step_config(CONFIG).sizes[DENOISER]


def pair_of(record: ClipRecord, start: int, *, sound: bool = False):
    cut = crop(sound=sound)
    return cut.pair(cut_pair(cut, record, start))


def crop(*, sound: bool = False) -> PairCut:
    return PairCut(SIZES, SPACE, STATISTICS, sound)


def test_motion_is_resampled_to_25_frames_a_second():
    record = make_record(61)
    frames = resample_frames(record.motion)
    # 61 frames at 30 a second end 2 s after the first.
    assert len(frames) == 51
    times = np.arange(51) * 30 / 25
    expected = times * record.motion[1, 0]
    np.testing.assert_allclose(frames[:, 0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(frames[::5], record.motion[:61:6], rtol=1e-3, atol=1e-6)


def test_windows_follow_each_other_and_their_features():
    record = make_record(80)
    pair = pair_of(record, 6)
    frames = resample_frames(record.motion[6:])[:40]
    expected = frames / 0.02
    np.testing.assert_allclose(
        pair["motion"].reshape(40, -1), expected, rtol=1e-4, atol=1e-5
    )
    # 6 frames at 30 a second are 10 features.
    features = pair["features"].reshape(80, FEATURE_WIDTH)
    np.testing.assert_array_equal(features, record.features[10:90])
    np.testing.assert_array_equal(pair["real"], [20, 20])


def test_a_short_clip_ends_in_silence_that_does_not_count():
    record = make_record(31)
    pair = pair_of(record, 0)
    # 26 frames at 25 a second: 20 and 6.
    np.testing.assert_array_equal(pair["real"], [20, 6])
    assert not pair["motion"][1, 6:].any()
    silence = np.broadcast_to(np.float16(-9), (28, FEATURE_WIDTH))
    np.testing.assert_array_equal(pair["features"][1, 12:], silence)


def test_sound_starts_with_its_frame():
    record = make_record(80)
    pair = pair_of(record, 3, sound=True)
    samples = record.sound[1600 : 1600 + 40 * 640] / np.float32(32_768)
    np.testing.assert_allclose(pair["sound"].ravel(), samples, atol=1e-7)
    with pytest.raises(DatasetError, match="has no sound"):
        pair_of(replace(record, sound=None), 0, sound=True)


def test_samples_are_spread_over_the_starts_of_a_clip():
    # A pair of windows takes 48 frames at 30 a second: 25 starts for 40 samples.
    starts = [crop().start(120, number) for number in range(crop().count(120))]
    assert len(starts) == 40
    numbers, counts = np.unique(starts, return_counts=True)
    np.testing.assert_array_equal(numbers, np.arange(0, 73, 3))
    assert set(counts.tolist()) == {1, 2}
    # A clip that is shorter than a pair has one start, and counts by its length.
    assert crop().count(30) == 10
    assert {crop().start(30, number) for number in range(10)} == {0}


def test_values_after_the_motion_space_stay_zero():
    wider = replace(SIZES, motion_width=73)
    cut = PairCut(wider, "joyvasa", STATISTICS, False)
    pair = cut.pair(cut_pair(cut, make_record(80), 0))
    assert pair["motion"].shape == (2, 20, 73)
    assert not pair["motion"][..., 70:].any()
