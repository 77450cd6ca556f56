"""Rest: the frame that motion is counted from, by every policy."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import POSE, SCALE, TRANSLATION, KeypointGroups
from jaxportrait.pipeline.rest import NEUTRAL_EXPRESSION, find_rest
from tests.pipeline.motions import GROUPS, LIP, draw_face_motion, draw_heads, face_clip


def test_lips_rest_in_the_first_frame_eyes_and_pose_at_their_median():
    upper = [*GROUPS.eyes, *GROUPS.brows]
    values = draw_face_motion(31)
    values[0, POSE] = 20.0  # looks aside
    clip = face_clip(values)
    clip.expression[0, upper, 1] = 0.5  # lids shut
    rest = find_rest(clip, "mixed", GROUPS)
    median = np.median(clip.expression, axis=0)
    assert_array_equal(rest.expression[0, upper], median[upper])
    others = np.setdiff1d(np.arange(21), upper)
    first = clip.expression[0, others]
    still = rest.expression[0, others]
    assert_array_equal(still, first)
    # Pose, translation and scale are the medians of the packed values.
    (frame,) = rest.to_frames()
    medians = np.median(values, axis=0)
    assert_allclose(frame[POSE], medians[POSE], atol=1e-5)
    for part in (TRANSLATION, SCALE):
        assert_array_equal(frame[part], medians[part])
    # Programs read float32.
    dtypes = {array.dtype for array in rest.arrays().values()}
    assert dtypes == {np.dtype(np.float32)}


def test_keypoints_that_rest_at_their_median_are_chosen():
    clip = face_clip(draw_face_motion(31))
    # One keypoint of the eyes, and no brows.
    groups = KeypointGroups(eyes=(20,), brows=())
    rest = find_rest(clip, "mixed", groups)
    first = clip.expression[0, :20]
    assert_array_equal(rest.expression[0, :20], first)
    median = np.median(clip.expression[:, 20], axis=0)
    assert_array_equal(rest.expression[0, 20], median)


@pytest.mark.parametrize("policy", ["mixed", "first"])
def test_motion_with_an_emotion_rests_as_the_motion_without_it(policy):
    values = draw_face_motion(31)
    neutral = face_clip(values)
    expected = find_rest(neutral, policy, GROUPS)
    lonely = face_clip(values + np.float32(0.5))
    happy = replace(lonely, neutral=neutral)
    rest = find_rest(happy, policy, GROUPS)
    assert_array_equal(rest.expression, expected.expression)
    assert_array_equal(rest.rotation, expected.rotation)
    # The known-bad case: its own rest contains the emotion.
    rest = find_rest(lonely, policy, GROUPS)
    change = rest.expression - expected.expression
    largest = np.abs(change).max()
    assert largest > 0.1
    # Absolute motion has no rest.
    assert find_rest(happy, "source", GROUPS) is None


def test_lips_rest_in_the_silence_that_a_driver_knows():
    upper = [*GROUPS.eyes, *GROUPS.brows]
    values = draw_face_motion(1) + 0.5
    silence = face_clip(values)
    clip = face_clip(draw_face_motion(31))
    clip = replace(clip, rest=silence)
    # A clip at another rate has the same rest.
    clip = clip.resample(60, 62)
    rest = find_rest(clip, "mixed", GROUPS)
    others = np.setdiff1d(np.arange(21), upper)
    still = silence.expression[0]
    resting = rest.expression[0]
    assert_array_equal(resting[others], still[others])
    # Eyes and brows rest at their median.
    distance = np.abs(resting[upper] - still[upper])
    least = distance.min()
    assert least > 0.1


def test_live_motion_rests_in_its_first_frame():
    clip = face_clip(draw_face_motion(5))
    rest = find_rest(clip, "first", GROUPS)
    first = clip[:1].to_frames()
    assert_array_equal(rest.to_frames(), first)


def test_lip_motion_rests_in_its_first_frame():
    # The driver of the lips leaves eyes and head to the source.
    values = LIP.select(draw_face_motion(31))
    clip = MotionClip.from_values(values, LIP, 30)
    rest = find_rest(clip, "mixed", GROUPS)
    assert list(rest.arrays()) == ["expression"]
    assert_array_equal(rest.expression, clip.expression[:1])


def test_a_rest_that_is_none_is_named():
    clip = face_clip(draw_face_motion(2))
    with pytest.raises(ValueError, match="rest is 'median': choose one of mixed"):
        find_rest(clip, "median", GROUPS)  # pyright: ignore[reportArgumentType]


def test_a_driving_picture_counts_from_a_neutral_face_and_its_own_head(golden):
    picture = face_clip(draw_heads(1))
    rest = find_rest(picture, "neutral", GROUPS)
    assert_array_equal(rest.expression[0], NEUTRAL_EXPRESSION)
    assert_array_equal(rest.rotation, picture.rotation)
    # As published, eyes count from no expression.
    eyes = find_rest(picture, "neutral", GROUPS, "eyes")
    assert not eyes.expression.any()
    # The table is LivePortrait's.
    figures = np.load(golden / "motion.npz")
    (published,) = figures["lip_array"]
    assert_allclose(NEUTRAL_EXPRESSION, published, atol=1e-9)
