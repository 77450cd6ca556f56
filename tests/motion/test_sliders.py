"""Sliders: LivePortrait's table, and those of keypoints that lie on landmarks."""

from dataclasses import fields

import numpy as np
import pytest

from jaxportrait.motion.landmark_sliders import landmark_sliders
from jaxportrait.motion.sliders import BLINK, LIDS_SHUT, PUBLISHED_SLIDERS
from jaxportrait.motion.space import KEYPOINTS, POSE_NAMES, KeypointGroups
from jaxportrait.pipeline.edits import RATIOS, Edits

# Lids and irises of the left and the right eye, brows, and lips: corners, upper, lower.
GROUPS = KeypointGroups(eyes=(0, 1, 2, 3, 4, 5), brows=(6, 7), lips=(8, 9, 10, 11))
PLACES = {
    0: (-1.0, -1.2),
    1: (-1.0, -1.0),
    2: (-1.0, -0.8),
    3: (1.0, -1.2),
    4: (1.0, -1.0),
    5: (1.0, -0.8),
    6: (-1.0, -1.6),
    7: (1.0, -1.6),
    8: (-0.5, 1.0),
    9: (0.5, 1.0),
    10: (0.0, 0.9),
    11: (0.0, 1.1),
}


@pytest.fixture
def points() -> np.ndarray:
    points = np.zeros((KEYPOINTS, 3))
    for keypoint, place in PLACES.items():
        points[keypoint, :2] = place
    return points


def moved(slider, number: float) -> np.ndarray:
    numbers = np.array([number])
    (offsets,) = slider.offsets(numbers)
    return offsets


def test_both_tables_have_every_slider_of_expression(points):
    names = {field.name for field in fields(Edits)}
    # Pose and size move no expression, and networks open eyes and lips.
    names -= {*POSE_NAMES, *RATIOS, "z"}
    names.add(BLINK)
    assert set(PUBLISHED_SLIDERS) == names
    sliders = landmark_sliders(GROUPS, points)
    assert set(sliders) == names


def test_numbers_below_zero_have_offsets_of_their_own():
    gaze = PUBLISHED_SLIDERS["gaze_x"]
    assert moved(gaze, 10)[11, 0] == pytest.approx(0.007)
    assert moved(gaze, -10)[11, 0] == pytest.approx(-0.01)
    assert not moved(gaze, 0).any()


def test_a_blink_shuts_both_eyes_and_a_wink_the_left_one(points):
    sliders = landmark_sliders(GROUPS, points)
    blink = points + moved(sliders[BLINK], 1.0)
    upper = blink[[0, 3], 1]
    lower = blink[[2, 5], 1]
    np.testing.assert_allclose(upper, lower, atol=1e-6)
    wink = points + moved(sliders["wink"], LIDS_SHUT)
    np.testing.assert_allclose(wink[0], wink[2], atol=1e-6)
    np.testing.assert_allclose(wink[3:6], points[3:6])


def test_sliders_move_what_their_names_say(points):
    sliders = landmark_sliders(GROUPS, points)
    # Up is negative, and the irises are between the lids.
    brows = moved(sliders["brows"], 30)
    assert brows[6, 1] < 0
    assert brows[7, 1] < 0
    aside = moved(sliders["gaze_x"], 30)
    assert aside[1, 0] > 0
    assert aside[4, 0] > 0
    up = moved(sliders["gaze_y"], 63)
    assert up[1, 1] < 0
    assert up[4, 1] < 0
    smile = moved(sliders["smile"], 1.3)
    # The corners go outwards and up.
    assert smile[8, 0] < 0
    assert smile[9, 0] > 0
    assert smile[8, 1] < 0
    assert smile[9, 1] < 0
    lips = sliders["lip_variation_three"]
    assert moved(lips, 120)[11, 1] > 0
    shut = points + moved(lips, -90)
    assert shut[11, 1] == pytest.approx(shut[10, 1])


def test_keypoints_that_were_not_learned_stay(points):
    sliders = landmark_sliders(KeypointGroups((), (), ()), points)
    for name in ("wink", "gaze_x", "brows", "smile", BLINK):
        offsets = moved(sliders[name], 1.0)
        assert not offsets.any(), name
