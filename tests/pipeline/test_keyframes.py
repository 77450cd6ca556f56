"""Keyframes of edits: a TOML file becomes the numbers of every frame."""

import numpy as np
import pytest

from jaxportrait.motion.keyframes import MOST_SECONDS
from jaxportrait.pipeline.keyframes import read_keyframes
from jaxportrait.ranges import OptionError

NOD = """
fps = 10
seconds = 2.0

[[keyframes]]
time = 0.0
pitch = 0.0

[[keyframes]]
time = 1.0
pitch = 10.0
smile = 0.5
"""


def write(tmp_path, text: str):
    path = tmp_path / "edits.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_go_smoothly_from_keyframe_to_keyframe(tmp_path):
    track = read_keyframes(write(tmp_path, NOD))
    assert (track.count, track.fps) == (21, 10)
    pitch = track.number("pitch")
    # Smoothstep of a quarter, a half and the whole of the way.
    share = np.array([0.0, 0.2, 0.5, 1.0])
    expected = 10 * share**2 * (3 - 2 * share)
    np.testing.assert_allclose(pitch[[0, 2, 5, 10]], expected, atol=1e-5)
    # After its last keyframe a number stays, and before its first one too.
    np.testing.assert_array_equal(pitch[10:], 10)
    np.testing.assert_array_equal(track.number("smile"), 0.5)
    # A slider without a keyframe changes nothing.
    np.testing.assert_array_equal(track.number("z"), 1)


def test_numbers_go_linearly_on_request(tmp_path):
    track = read_keyframes(write(tmp_path, 'interpolation = "linear"\n' + NOD))
    np.testing.assert_allclose(track.number("pitch")[:11], np.arange(11), atol=1e-5)


def test_the_clip_ends_with_its_last_keyframe(tmp_path):
    track = read_keyframes(write(tmp_path, NOD.replace("seconds = 2.0", "")))
    # Frames at 0.0, 0.1, ... 1.0 s.
    assert track.count == 11


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fps = 10", "fps = ", "is not TOML"),
        ("fps = 10", "rate = 10", "rate does not exist"),
        ("fps = 10", "fps = 0.5", "fps is 0.5: it must be from 1 to 240"),
        ("pitch = 10.0", "pitch = 99.0", "keyframe 2: pitch is 99.0: it must be from"),
        ("pitch = 10.0", "tilt = 1.0", "keyframe 2: there is no slider tilt"),
        ("pitch = 10.0", 'pitch = "up"', "Expected `float`, got `str`"),
        ("time = 1.0", "time = -1.0", "keyframe 2: time is -1.0"),
        ("time = 1.0", "", "keyframe 2 has no time"),
        ("seconds = 2.0", "seconds = 1e9", f"end it within {MOST_SECONDS} s"),
        (NOD, "", "there are no keyframes"),
    ],
)
def test_files_that_cannot_be_are_named(tmp_path, old, new, message):
    path = write(tmp_path, NOD.replace(old, new))
    with pytest.raises(OptionError) as error:
        read_keyframes(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no keyframes at"):
        read_keyframes(tmp_path / "no.toml")
