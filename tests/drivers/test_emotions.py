"""Emotions by choice: one, or keyframes of several."""

import numpy as np
import pytest

from jaxportrait.drivers.ditto_condition import EMOTIONS, emotion_weights
from jaxportrait.drivers.emotions import read_emotions
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.ranges import OptionError
from tests.closeness import assert_close

HAPPY = emotion_weights(EMOTIONS.index("happy"))
SAD = emotion_weights(EMOTIONS.index("sad"))
NEUTRAL = emotion_weights(EMOTIONS.index("neutral"))

FILE = """
interpolation = "linear"

[[keyframes]]
time = 0.0
happy = 0.0
sad = 1.0

[[keyframes]]
time = 2.0
happy = 1.0
sad = 0.0
"""


def write(folder, text: str):
    path = folder / "moods.toml"
    path.write_text(text)
    return path


def test_an_emotion_turns_into_another(tmp_path):
    emotions = read_emotions(write(tmp_path, FILE), 25.0)
    # 25 frames a second: the start, one second, two, and forty.
    rows = emotions.at(np.array([0, 25, 50, 1000]))
    assert_close(rows[0], SAD, 1e-6)
    assert_close(rows[1], (HAPPY + SAD) / 2, 1e-6)
    # The last keyframe stays.
    assert_close(rows[2], HAPPY, 1e-6)
    np.testing.assert_array_equal(rows[3], rows[2])


def test_the_rest_is_neutral(tmp_path):
    text = "[[keyframes]]\ntime = 0\nhappy = 0.25\n"
    emotions = read_emotions(write(tmp_path, text), 25.0)
    assert_close(emotions.at(np.array([7]))[0], 0.25 * HAPPY + 0.75 * NEUTRAL, 1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE.replace("happy", "glad"), "keyframe 1: there is no emotion glad: choose"),
        (FILE.replace("sad = 1.0", "sad = 11"), "keyframe 1: sad is 11.0: it must be"),
        ("fps = 25", "fps does not exist: it has keyframes, interpolation"),
    ],
)
def test_files_that_cannot_be_are_named(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(OptionError) as error:
        read_emotions(path, 25.0)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emotion_strength": 0.5}, "emotion_strength is 0.5, and there is no emotion"),
        ({"emotion": "sad", "emotion_strength": -1.0}, "emotion_strength is -1.0"),
        ({"blinks": "often"}, "blinks is 'often': choose one of model, curve, off"),
        ({"condition": "mesh"}, "condition is 'mesh': choose one of character, source"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        MotionSampling(**options)


def test_keyframes_and_one_emotion_exclude_each_other(tmp_path):
    with pytest.raises(OptionError, match="emotion_keyframes have emotions of their"):
        MotionSampling(emotion="sad", emotion_keyframes=tmp_path / "a.toml")


@pytest.mark.parametrize(
    "options",
    [{"blinks": "off"}, {"condition": "source"}],
)
def test_a_driver_without_a_face_refuses_its_options(options):
    (name,) = options
    with pytest.raises(OptionError, match=f"{name} is an option of Ditto's driver"):
        MotionSampling(**options).check_face(has_face=False)
    MotionSampling(**options).check_face(has_face=True)


def test_a_driver_refuses_emotions_that_it_does_not_know():
    sampling = MotionSampling(emotion="glad")
    with pytest.raises(OptionError, match="'glad': choose one of angry, disgust"):
        sampling.check_face(has_face=True, emotion_names=EMOTIONS)
    with pytest.raises(OptionError, match="this driver has no emotions: leave it out"):
        sampling.check_face(has_face=False)
    MotionSampling(emotion="sad").check_face(has_face=False, emotion_names=("sad",))
