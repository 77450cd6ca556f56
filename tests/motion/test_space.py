"""The layout of a frame's motion: names, spaces, packing and normalisation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxportrait.motion.space import (
    EXPRESSION,
    MOTION_SPACES,
    MOTION_WIDTH,
    POSE,
    REGIONS,
    SCALE,
    TRANSLATION,
    MotionStatistics,
    denormalize,
    expression_columns,
    neutral_frames,
    normalize,
    pack,
    value_name,
)
from jaxportrait.types import Motion

LIP = MOTION_SPACES["lip"]
FACE = MOTION_SPACES["face"]


def test_the_parts_of_a_frame_lie_side_by_side():
    parts = (EXPRESSION, POSE, TRANSLATION, SCALE)
    columns = [column for part in parts for column in range(MOTION_WIDTH)[part]]
    assert columns == list(range(70))


def test_every_value_has_a_name_of_its_own():
    names = [value_name(column) for column in range(MOTION_WIDTH)]
    assert len(set(names)) == 70
    assert names[0] == "expression 0 x"
    assert names[3 * 6 + 1] == "expression 6 y"
    assert names[POSE] == ["pitch", "yaw", "roll"]
    assert names[-2:] == ["translation z", "scale"]


def test_regions_share_no_keypoint():
    keypoints = [keypoint for region in REGIONS.values() for keypoint in region]
    assert len(set(keypoints)) == len(keypoints)


def test_the_lip_space_is_the_expression_of_the_lips():
    assert LIP.columns == expression_columns(REGIONS["lips"])
    assert LIP.width == 18
    assert not any(LIP.covers(part) for part in (POSE, TRANSLATION, SCALE))
    assert FACE.width == MOTION_WIDTH
    assert all(FACE.covers(part) for part in (EXPRESSION, POSE, TRANSLATION, SCALE))


def test_values_outside_a_space_are_neutral():
    values = np.random.default_rng(0).standard_normal((4, 18)).astype(np.float32)
    frames = LIP.complete(values)
    assert_array_equal(LIP.select(frames), values)
    # Everything but the lips' expression.
    outside = np.setdiff1d(np.arange(MOTION_WIDTH), LIP.columns)
    assert_array_equal(frames[:, outside], neutral_frames(4)[:, outside])


def test_a_packed_frame_holds_the_motion_of_a_picture():
    random = np.random.default_rng(1)
    motion = Motion(
        keypoints=random.standard_normal((2, 21, 3)),
        expression=random.standard_normal((2, 21, 3)),
        pose=random.standard_normal((2, 3)),
        translation=random.standard_normal((2, 3)),
        scale=random.standard_normal((2, 1)),
    )
    # Keypoint by keypoint, x, y and z each.
    frames = pack(motion)
    assert frames.dtype == np.float32
    assert_allclose(frames[1, 3 * 6 + 1], motion.expression[1, 6, 1])
    assert_allclose(frames[:, POSE], motion.pose)
    assert_allclose(frames[:, TRANSLATION], motion.translation)
    assert_allclose(frames[:, SCALE], motion.scale)


def test_normalized_values_return():
    statistics = MotionStatistics(np.float32([5, 1]), np.float32([0.5, 2]))
    values = np.float32([[5.5, 3], [4, 1]])
    # Mean 0 and deviation 1, by hand.
    normal = normalize(values, statistics)
    assert_allclose(normal, [[1, 1], [-2, 0]])
    assert_allclose(denormalize(normal, statistics), values)


@pytest.mark.parametrize("part", [POSE, SCALE])
def test_columns_of_a_part_are_located_in_a_space(part):
    columns = tuple(range(MOTION_WIDTH)[part])
    assert FACE.locate(columns) == list(columns)
