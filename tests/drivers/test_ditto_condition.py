"""The condition of Ditto's network: emotions, and faces of several frames."""

import numpy as np
import pytest

from jaxportrait.drivers.ditto_condition import (
    EMOTIONS,
    TAIL_WIDTH,
    Emotions,
    Face,
    condition_tail,
    emotion_weights,
    strengthen_emotion,
)
from tests.arrays import draw
from tests.closeness import assert_close

FACE = Face(draw(3, 2, seed=1), draw(3, 6, seed=2), draw(63, seed=3))


def test_an_emotion_has_nearly_all_of_the_weight():
    happy = emotion_weights(EMOTIONS.index("happy"))
    assert_close(happy[3], 0.99766, 1e-5)
    assert_close(happy[0], 0.000335, 2e-3)
    mixture = emotion_weights([3, 4])
    assert_close(mixture[[3, 4]], [0.4995, 0.4995], 1e-4)


def test_numpy_integers_and_all_labels_are_accepted():
    np.testing.assert_array_equal(emotion_weights(np.int64(2)), emotion_weights(2))
    assert_close(emotion_weights(range(8)), np.full(8, 1 / 8), 1e-6)


@pytest.mark.parametrize("indices", [8, -1, [], [0, 9]])
def test_other_emotions_are_refused(indices):
    with pytest.raises(ValueError, match=r"emotion is .*: choose from 0 to 7"):
        emotion_weights(indices)


def test_the_strength_of_an_emotion_leads_away_from_neutral():
    neutral = emotion_weights(EMOTIONS.index("neutral"))
    np.testing.assert_array_equal(strengthen_emotion(3, 0.0), neutral)
    np.testing.assert_array_equal(strengthen_emotion(3, 1.0), emotion_weights(3))
    middle = (neutral + emotion_weights(3)) / 2
    assert_close(strengthen_emotion(3, 0.5), middle, 1e-6)


def test_faces_are_played_to_and_fro_and_emotions_again():
    emotions = np.stack([emotion_weights(0), emotion_weights(1)])
    tail = condition_tail(FACE, Emotions(emotions), -1, 8)
    assert tail.shape == (8, TAIL_WIDTH)
    # The frame before the sound is as frame 0.
    frames = [0, 0, 1, 2, 2, 1, 0, 0]
    np.testing.assert_array_equal(tail[:, 8:10], FACE.openness[frames])
    np.testing.assert_array_equal(tail[:, 10:16], FACE.eyeballs[frames])
    np.testing.assert_array_equal(tail[:, 16:], np.tile(FACE.keypoints, (8, 1)))
    played = [0, 0, 1, 0, 1, 0, 1, 0]
    np.testing.assert_array_equal(tail[:, :8], emotions[played])
