"""Motion of drawn heads follows phonemes, voice and emotion."""

# ruff: noqa: RUF001 - letters of the IPA are meant

import numpy as np
import pytest

from tests.train.synthetic.inputs import PAPA, SIZE, needs_espeak
from train.synthetic.clip import ClipPlan, act
from train.synthetic.motion import EMOTIONS, FPS, perform
from train.synthetic.speech import Phoneme, Speech
from train.synthetic.visemes import (
    PARAMETERS,
    UNVOICED_CLOSURE,
    closures_of,
    mouth_track,
    segments_of,
)


def test_p_b_m_close_the_lips_and_vowels_open_them():
    times = np.arange(0, 1, 0.01)
    track = dict(zip(PARAMETERS, mouth_track(PAPA, times).T, strict=True))
    spans = closures_of(PAPA)
    np.testing.assert_allclose(spans, [(0.3 - UNVOICED_CLOSURE, 0.3), (0.6, 0.685)])
    for start, end in spans:
        inside = (times >= start) & (times <= end)
        np.testing.assert_allclose(track["closure"][inside], 1)
    assert track["closure"][47] < 0.05
    assert track["jaw"][47] > 0.7


def test_the_lips_round_ahead_of_a_u():
    times = np.arange(0, 1, 0.01)
    track = mouth_track(PAPA, times)
    rounding = track[:, PARAMETERS.index("rounding")]
    assert rounding[90] > 0.8
    assert rounding[66] > rounding[62] > rounding[47]


def test_every_sound_of_a_phoneme_has_its_share_of_time():
    # A diphthong, and an affricate whose t does not show.
    segments = segments_of([Phoneme("aɪ", 1.0, 1.2), Phoneme("tʃ", 1.2, 1.3)])
    spans = [(part.viseme.name, part.start, part.end) for part in segments]
    assert spans == [
        ("a", 1.0, pytest.approx(1.1)),
        ("i", pytest.approx(1.1), 1.2),
        ("sh", 1.2, 1.3),
    ]


def test_performances_follow_voice_and_emotion(speech):
    happy = perform(speech, "happy", 3, np.random.default_rng(1))
    sad = perform(speech, "sad", 3, np.random.default_rng(1))
    assert len(happy) == FPS
    assert happy.smile.mean() > 0.6 > sad.smile.mean()
    assert {"neutral", "angry", "surprise"} < set(EMOTIONS)


def test_a_performance_depends_on_its_seed_only(speech):
    first = perform(speech, "happy", 3, np.random.default_rng(1))
    second = perform(speech, "happy", 3, np.random.default_rng(1))
    np.testing.assert_array_equal(first.pose, second.pose)


def test_speakers_blink_some_twenty_times_a_minute():
    minute = Speech("", np.zeros(60 * 8000, np.float32), 8000, (Phoneme("", 0, 60),))
    counts = []
    for seed in range(8):
        performance = perform(minute, "neutral", 1, np.random.default_rng(seed))
        shut = performance.blink > 0.8
        # A blink starts where lids become shut.
        starts = np.diff(shut.astype(int)) == 1
        counts.append(np.count_nonzero(starts))
    assert 15 <= np.mean(counts) <= 25


@pytest.fixture(scope="module")
def long_clip():
    """Speech and performance of twenty seconds."""
    return act(ClipPlan(3, 1, 0, 20.0, SIZE))


@needs_espeak
def test_closures_are_quiet_and_vowels_are_loud_and_open(long_clip):
    speech, performance = long_clip
    times = performance.times
    level = speech.loudness(times, 0.03)
    opening = openings(performance)
    shut = np.zeros(len(performance), bool)
    for start, end in closures_of(speech.phonemes):
        inside = (times >= start) & (times <= end)
        assert opening[inside].min() < 0.15 * opening.max()
        shut |= inside
    wide_open = opening > 0.5 * opening.max()
    assert level[shut].mean() < 0.5 * level[wide_open].mean()


@needs_espeak
def test_the_mouth_opens_in_time_with_the_voice(long_clip):
    speech, performance = long_clip
    level = speech.loudness(performance.times, 0.03)
    opening = openings(performance)
    # The correlation is largest at a lag of one frame at most.
    correlations = {}
    for lag in range(-6, 7):
        shifted = level[6 + lag : len(level) - 6 + lag]
        correlations[lag] = np.corrcoef(opening[6:-6], shifted)[0, 1]
    best = max(correlations, key=correlations.__getitem__)
    assert abs(best) <= 1


def openings(performance) -> np.ndarray:
    """Return the height between the lips in every frame."""
    frames = range(len(performance))
    return np.array([performance.moment(frame).mouth.opening for frame in frames])
