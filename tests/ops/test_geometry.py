"""Head pose and keypoints, by hand and against golden keypoints."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.geometry import (
    expected_degrees,
    rotation_matrix,
    transform_keypoints,
)
from tests.arrays import draw, draw_uniform
from tests.closeness import assert_close

BOUND = 1e-6


@pytest.mark.parametrize(("bin_", "degrees"), [(0, -97.5), (33, 1.5), (65, 97.5)])
def test_a_certain_bin_is_its_own_angle(bin_, degrees):
    logits = np.zeros(66, np.float32)
    # Softmax gives this bin a probability of 1.
    logits[bin_] = 1e4
    assert expected_degrees(logits) == degrees


def test_angles_are_expectations_over_the_bins():
    logits = draw(2, 3, 66)
    weights = np.exp(logits.astype(np.float64))
    bins = np.arange(66)
    mean_bin = (weights * bins).sum(-1) / weights.sum(-1)
    expected = mean_bin * 3 - 97.5
    np.testing.assert_allclose(expected_degrees(logits), expected, atol=97.5 * BOUND)


def test_angles_of_half_precision_are_float32():
    logits = jnp.zeros((2, 66), jnp.bfloat16)
    assert expected_degrees(logits).dtype == jnp.float32


@pytest.mark.parametrize(
    ("pose", "row"),
    [((90, 0, 0), (0, 0, 1)), ((0, 90, 0), (0, 1, 0)), ((0, 0, 90), (-1, 0, 0))],
    ids=["pitch", "yaw", "roll"],
)
def test_quarter_turns_of_a_row_vector(pose, row):
    pose = jnp.asarray(pose, jnp.float32)
    # Row vectors are multiplied from the left.
    y_axis = jnp.asarray([0.0, 1.0, 0.0])
    turned = y_axis @ rotation_matrix(pose)
    np.testing.assert_allclose(turned, row, atol=BOUND)


def test_rotations_apply_pitch_then_yaw_then_roll_and_keep_lengths():
    poses = draw_uniform(-60, 60, 5, 3)
    whole = rotation_matrix(poses)
    axes = np.eye(3, dtype=np.float32)
    pitch, yaw, roll = (rotation_matrix(poses * axis) for axis in axes)
    assert_close(whole, pitch @ yaw @ roll, BOUND)
    # An orthogonal matrix with determinant 1 is a rotation.
    identity = np.broadcast_to(np.eye(3), (5, 3, 3))
    inverse = jnp.swapaxes(whole, -1, -2)
    assert_close(whole @ inverse, identity, BOUND)
    assert_close(jnp.linalg.det(whole), np.ones(5), BOUND)


def test_depth_is_not_translated():
    # scale * (keypoint @ rotation + expression) + translation, but in x and y only.
    moved = transform_keypoints(
        keypoints=np.ones((1, 2, 3), np.float32),
        rotation=np.eye(3, dtype=np.float32)[None],
        expression=np.full((1, 2, 3), 0.5, np.float32),
        scale=np.full((1, 1), 2, np.float32),
        translation=np.asarray([[10, 20, 30]], np.float32),
    )
    np.testing.assert_allclose(moved, [[[13, 23, 3]] * 2])


def test_source_keypoints_are_the_published_ones(golden):
    figures = np.load(golden / "motion.npz")
    angles = [figures[f"source/{name}"] for name in ("pitch", "yaw", "roll")]
    pose = np.concatenate(angles, axis=-1)
    ours = transform_keypoints(
        keypoints=figures["source/kp"],
        rotation=rotation_matrix(pose),
        expression=figures["source/exp"],
        scale=figures["source/scale"],
        translation=figures["source/t"],
    )
    assert_close(ours, figures["x_s"], BOUND)
