"""Head rotations on the host, against the renderer's own and known angles."""

import numpy as np
from numpy.testing import assert_allclose

from jaxportrait.motion.rotation import angles_of, interpolate, matrices_of
from jaxportrait.ops.geometry import rotation_matrix


def draw_angles(count: int, largest: float) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.uniform(-largest, largest, (count, 3)).astype(np.float32)


# Angles stay off a right angle of yaw, where pitch and roll are the same turn.


def test_matrices_are_those_of_the_renderer():
    angles = draw_angles(50, 80)
    expected = np.asarray(rotation_matrix(angles))
    assert_allclose(matrices_of(angles), expected, atol=1e-6)


def test_angles_are_the_inverse_of_matrices():
    angles = draw_angles(200, 89)
    matrices = matrices_of(angles)
    assert_allclose(angles_of(matrices), angles, atol=2e-4)


def test_half_way_between_two_turns_about_one_axis_is_half_the_angle():
    angles = np.zeros((2, 3))
    angles[:, 1] = (10, 70)
    first, second = matrices_of(angles)
    weights = np.array([0, 0.25, 0.5, 1])
    starts = np.repeat(first[None], 4, axis=0)
    ends = np.repeat(second[None], 4, axis=0)
    turns = interpolate(starts, ends, weights)
    expected = [(0, yaw, 0) for yaw in (10, 25, 40, 70)]
    assert_allclose(angles_of(turns), expected, atol=1e-4)


def test_interpolated_matrices_are_rotations():
    first = matrices_of(draw_angles(50, 80))
    second = first[::-1]
    weights = np.linspace(0, 1, 50)
    turns = interpolate(first, second, weights)
    # The transpose of a rotation is its inverse.
    transposes = np.swapaxes(turns, 1, 2)
    products = turns @ transposes
    identity = np.broadcast_to(np.eye(3), products.shape)
    assert_allclose(products, identity, atol=1e-6)
    assert_allclose(np.linalg.det(turns), 1, atol=1e-6)


def test_equal_rotations_stay():
    matrices = matrices_of(draw_angles(5, 80))
    turns = interpolate(matrices, matrices, np.full(5, 0.5))
    assert_allclose(turns, matrices, atol=1e-6)
