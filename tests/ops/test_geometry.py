"""Head pose and keypoints, by hand and against golden keypoints."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxportrait.ops.geometry import (
    expected_degrees,
    rotation_matrix,
    transform_keypoints,
)
from tests.closeness import assert_close

BOUND = 1e-6


@pytest.mark.parametrize(("bin_", "degrees"), [(0, -97.5), (33, 1.5), (65, 97.5)])
def test_a_certain_bin_is_its_own_angle(bin_, degrees):
    logits = np.where(np.arange(66) == bin_, 1e4, 0).astype(np.float32)
    assert expected_degrees(logits) == degrees


def test_angles_are_expectations_over_the_bins():
    logits = np.random.default_rng(0).standard_normal((2, 3, 66), np.float32)
    weights = np.exp(logits.astype(np.float64))
    expected = (weights * np.arange(66)).sum(-1) / weights.sum(-1) * 3 - 97.5
    np.testing.assert_allclose(expected_degrees(logits), expected, atol=97.5 * BOUND)
    assert expected_degrees(jnp.asarray(logits, jnp.bfloat16)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("pose", "row"),
    [((90, 0, 0), (0, 0, 1)), ((0, 90, 0), (0, 1, 0)), ((0, 0, 90), (-1, 0, 0))],
    ids=["pitch", "yaw", "roll"],
)
def test_quarter_turns_of_a_row_vector(pose, row):
    turned = jnp.asarray([0.0, 1.0, 0.0]) @ rotation_matrix(
        jnp.asarray(pose, jnp.float32)
    )
    np.testing.assert_allclose(turned, row, atol=BOUND)


def test_rotations_apply_pitch_then_yaw_then_roll_and_keep_lengths():
    poses = np.random.default_rng(0).uniform(-60, 60, (5, 3)).astype(np.float32)
    whole = rotation_matrix(poses)
    steps = [
        rotation_matrix(poses * np.eye(3, dtype=np.float32)[axis]) for axis in range(3)
    ]
    assert_close(whole, steps[0] @ steps[1] @ steps[2], BOUND)
    assert_close(
        whole @ jnp.swapaxes(whole, -1, -2),
        np.broadcast_to(np.eye(3), (5, 3, 3)),
        BOUND,
    )
    assert_close(jnp.linalg.det(whole), np.ones(5), BOUND)


def test_depth_is_not_translated():
    keypoints, expression = (
        np.ones((1, 2, 3), np.float32),
        np.full((1, 2, 3), 0.5, np.float32),
    )
    scale, translation = (
        np.full((1, 1), 2, np.float32),
        np.asarray([[10, 20, 30]], np.float32),
    )
    moved = transform_keypoints(
        keypoints, np.eye(3, dtype=np.float32)[None], expression, scale, translation
    )
    np.testing.assert_allclose(moved, [[[13, 23, 3]] * 2])


def test_source_keypoints_are_the_published_ones(golden):
    figures = np.load(golden / "motion.npz")
    source = {
        name: figures[f"source/{name}"]
        for name in ("kp", "pitch", "yaw", "roll", "exp", "scale", "t")
    }
    rotation = rotation_matrix(
        np.concatenate([source["pitch"], source["yaw"], source["roll"]], axis=-1)
    )
    ours = transform_keypoints(
        source["kp"], rotation, source["exp"], source["scale"], source["t"]
    )
    assert_close(ours, figures["x_s"], BOUND)
