"""Seams of long sounds, by samplers whose bends are known."""

import numpy as np
import pytest

from jaxportrait.motion.space import MotionStatistics
from tests.train.evaluate.motion.clips import LENGTHS, LIP, TINY, make_clips
from train.data.records import features_needed
from train.evaluate.motion.seams import join_sounds, measure_seams
from train.evaluate.motion.sweep import HeldOut, Setting

UNIT = MotionStatistics(np.zeros(18, np.float32), np.ones(18, np.float32))
SETTING = Setting(1, 1.0)
SOUNDS = 8


@pytest.fixture(scope="module")
def sounds() -> list[HeldOut]:
    return join_sounds(make_clips(), SOUNDS, TINY, LIP, "fused")


def restless(factor: float, sounds: list[HeldOut]):
    """Return a sampler whose motion bends so much more at borders."""
    seams = {sound.features.tobytes(): sound.seams for sound in sounds}
    random = np.random.default_rng(0)

    def sample(features, frames, key, setting):
        bends = random.normal(size=(frames - 2, 18))
        bends[seams[features.tobytes()]] *= factor
        motion = np.zeros((frames, 18))
        # Second differences, added up twice.
        motion[2:] = bends.cumsum(axis=0).cumsum(axis=0)
        return motion

    return sample


def test_a_ratio_lies_in_its_interval_and_counts_its_borders(sounds):
    even = measure_seams(restless(1.0, sounds), sounds, UNIT, SETTING)
    assert even is not None
    assert even.low < 1 < even.high
    assert even.high - even.low < 0.1
    # A border has a frame on each side.
    borders = sum(int(sound.seams.sum()) for sound in sounds) // 2
    assert (even.borders, even.sounds) == (borders, SOUNDS)
    assert f"at {borders} borders of 8 sounds" in str(even)

    hard = measure_seams(restless(1.5, sounds), sounds, UNIT, SETTING)
    assert hard is not None
    assert 1.2 < hard.low < 1.5 < hard.high


def test_motion_at_rest_has_no_seams(sounds):
    def rest(features, frames, key, setting):
        return np.zeros((frames, 18))

    assert measure_seams(rest, sounds, UNIT, SETTING) is None


def test_no_sounds_are_none():
    assert join_sounds(make_clips(), 0, TINY, LIP, "fused") == []


def test_sounds_hold_all_clips_in_other_orders_and_from_other_places(sounds):
    # 96, 70 and 90 frames; features end with whole steps of three frames.
    frames = sum(length // 3 * 3 for length in LENGTHS.values())
    features = features_needed(frames)
    content = [sound.features[:features] for sound in sounds]
    whole = np.sort(content[0], axis=None)
    for sound, other in zip(sounds, content, strict=True):
        assert len(sound.truth) == frames
        np.testing.assert_array_equal(np.sort(other, axis=None), whole)
    starts = {other[0].tobytes() for other in content}
    assert len(starts) == SOUNDS


def test_motion_and_sound_of_a_joined_clip_stay_together():
    """Lips open with the loudness, before and after."""
    for sound in join_sounds(make_clips(), 2, TINY, LIP, "fused"):
        opening = sound.truth.std(axis=1)
        assert np.corrcoef(opening, sound.envelope)[0, 1] > 0.99
