"""Measures of speaking heads on curves known by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tests.train.evaluate.speech.truths import smooth, truth_of
from train.evaluate.motion.metrics import LARGEST_LAG, correlation
from train.evaluate.speech.measures import (
    agreement,
    best_lag,
    blink_rate,
    blinks,
    deviation,
    disagreement,
    shut_closures,
)
from train.evaluate.speech.readers import Reading
from train.evaluate.speech.report import (
    measure_speech,
    measure_true_motion,
    quality,
)


@pytest.mark.parametrize("lag", [-2, 0, 3])
def test_the_lag_of_a_mouth_that_follows_is_found(lag):
    truth = smooth(0, 140)
    # the same curve, shifted, scaled and raised
    measured = 2 * truth[10 - lag : 130 - lag] + 1
    same, lagged = agreement(measured, truth[10:])
    assert best_lag(lagged) == lag

    # without a lag, both are plain correlations
    assert lagged[LARGEST_LAG] == pytest.approx(same)
    assert same == pytest.approx(correlation(measured, truth[10:130]))

    assert lagged.max() == pytest.approx(1)


def test_other_sentences_are_cut_to_the_same_length():
    measured = smooth(0)
    assert disagreement(measured, [measured[:50], -measured]) == pytest.approx(0)

    # other curves correlate by chance only
    others = [smooth(seed, 150) for seed in range(1, 30)]
    assert abs(disagreement(measured, others)) < 0.2


def test_a_closure_is_shut_if_one_of_its_frames_is():
    opening = np.full(30, 1.0)
    # two frames are shut, and one is nearly shut
    opening[[3, 12]] = 0.1
    opening[20] = 0.2
    seconds = np.array([[2.9, 3.1], [9.1, 11.2], [13.2, 15], [19, 21], [40, 42]]) / 30

    # the last closure lies beyond the end
    assert shut_closures(opening, seconds).tolist() == [True, True, False, False]

    # a mouth that never moves is never shut
    assert not shut_closures(np.ones(30), seconds).any()


def test_a_blink_counts_once():
    # a lid must open before it shuts for another blink
    assert blinks(np.array([0, 0.6, 0.4, 0.6, 0.2, 0, 0.9, 1, 0.1])) == 2

    # lids half shut do not count
    assert blinks(np.array([0.4, 0.49, 0])) == 0

    # lids that stay shut count once
    assert blinks(np.array([1.0, 0.9])) == 1

    # 15 blinks in half a minute
    assert blink_rate([np.tile([0, 1.0], 15), np.zeros(870)]) == pytest.approx(30)


def test_the_deviation_is_about_the_mean_of_each_clip():
    # clips sway about different means
    sway = np.array([[-1.0, 0], [1, 0]])
    np.testing.assert_allclose(deviation([sway + 50, sway - 50]), [1, 0])


def test_a_perfect_reading_measures_as_the_truth():
    closures = np.array([[1.0, 1.1]])
    truths = [truth_of(np.abs(smooth(seed)), closures=closures) for seed in range(3)]

    # one closed frame, and lids that hardly move
    for truth in truths:
        truth.opening[31] = 0
        truth.blink[5] = 1e-3

    readings = [Reading(2 * truth.opening, truth.opening) for truth in truths]
    measures = measure_speech(readings, truths)
    assert measures["correlation"] == pytest.approx(1)
    assert measures["least_correlation"] == pytest.approx(1)
    assert measures["lag_frames"] == 0
    assert measures["wrong_correlation"] < 0.4
    assert measures["closed"] == 1

    results = quality(readings, truths)
    assert results["opening"]["correlation"] == pytest.approx(1)
    # the lids hardly move, so nothing is compared
    assert results["blink"]["correlation"] == 0


def test_a_late_reading_has_a_lag():
    truths = [truth_of(np.abs(smooth(seed))) for seed in range(3)]
    readings = [Reading(truth.opening, truth.blink) for truth in truths]
    late = [
        replace(reading, opening=np.roll(reading.opening, 4)) for reading in readings
    ]
    assert measure_speech(late, truths)["lag_frames"] == 4


def test_the_motion_of_the_truth_is_in_its_own_units():
    frames = np.arange(60)
    pose = np.zeros((60, 3))
    pose[:, 1] = 3 * (-1.0) ** frames

    # one blink in two seconds
    truth = truth_of(np.ones(60), pose=pose, blink=np.eye(60)[7])
    assert measure_true_motion([truth, truth]) == pytest.approx(
        {"blinks_a_minute": 30, "pitch": 0, "yaw": 3, "roll": 0, "x": 0, "y": 0}
    )
