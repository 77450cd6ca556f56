"""The embedding that tells the sound of lips."""

from dataclasses import replace

import numpy as np
import pytest

from tests.train.evaluate.motion.clips import DIRECTION
from train.data.lips import LIPS
from train.data.records import ClipRecord, features_needed
from train.evaluate.motion.sync import BATCH, Pairs, cut_windows, learn_sync

FRAMES = 240


def talk(seed: int) -> ClipRecord:
    """A clip whose lips and features are made from the same curve."""
    rng = np.random.default_rng(seed)
    times = np.linspace(0, FRAMES / 30, features_needed(FRAMES))
    phases = rng.uniform(0, 6, 4)
    # several tones, so that no two moments are alike
    frequencies = np.array([5, 8, 13, 21])
    angles = frequencies[:, None] * times + phases[:, None]
    curve = np.sin(angles).sum(axis=0)
    noise = 0.1 * rng.standard_normal((len(times), 8))
    features = curve[:, None] + noise
    motion = np.zeros((FRAMES, 70), np.float32)
    opening = np.interp(np.arange(FRAMES) / 30, times, curve)
    # all lips open along one direction
    motion[:, list(LIPS)] = opening[:, None] * DIRECTION
    # of silence, since loudness is not used here
    envelope = np.zeros(FRAMES, np.float32)
    return ClipRecord(f"{seed}.mp4", str(seed), motion, np.float16(features), envelope)


def windows_of(clips: list[ClipRecord]) -> Pairs:
    lips = [clip.motion[:, list(LIPS)] for clip in clips]
    return cut_windows(lips, [clip.features for clip in clips])


@pytest.fixture(scope="module")
def judge():
    return learn_sync([talk(seed) for seed in range(8)], steps=300)


def test_held_out_lips_find_their_sound(judge):
    held_out = [talk(seed) for seed in (20, 21, 22)]
    assert judge.score(windows_of(held_out)) > 0.7


def test_lips_of_another_sound_find_it_by_chance(judge):
    right = [talk(seed) for seed in (20, 21, 22)]
    others = [talk(seed) for seed in (30, 31, 32)]
    wrong = [
        replace(clip, motion=other.motion)
        for clip, other in zip(right, others, strict=True)
    ]
    assert judge.score(windows_of(wrong)) < 0.3
    still = [replace(clip, motion=np.zeros_like(clip.motion)) for clip in right]
    # lips that rest are equally near to all sounds
    assert judge.score(windows_of(still)) < 0.3


def test_a_small_set_has_no_judge():
    few = [talk(0)]
    assert len(windows_of(few)) < BATCH
    assert learn_sync(few, steps=1) is None
