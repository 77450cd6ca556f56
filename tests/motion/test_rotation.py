"""Head rotations on the host, against the renderer's own and known angles."""

import numpy as np

from jaxportrait.motion.rotation import angles_of, interpolate, matrices_of
from jaxportrait.ops.geometry import rotation_matrix


def draw_angles(count: int, largest: float) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.uniform(-largest, largest, (count, 3)).astype(np.float32)


def test_matrices_are_those_of_the_renderer():
    angles = draw_angles(50, 80)
    expected = np.asarray(rotation_matrix(angles))
    np.testing.assert_allclose(matrices_of(angles), expected, atol=1e-6)


def test_angles_are_the_inverse_of_matrices():
    angles = draw_angles(200, 89)
    np.testing.assert_allclose(angles_of(matrices_of(angles)), angles, atol=2e-4)


def test_half_way_between_two_turns_about_one_axis_is_half_the_angle():
    angles = np.zeros((2, 3))
    angles[:, 1] = (10, 70)
    first, second = matrices_of(angles)
    for weight, yaw in ((0, 10), (0.25, 25), (0.5, 40), (1, 70)):
        turn = interpolate(first[None], second[None], np.array([weight]))
        np.testing.assert_allclose(angles_of(turn)[0], (0, yaw, 0), atol=1e-4)


def test_interpolated_matrices_are_rotations():
    first = matrices_of(draw_angles(50, 80))
    second = first[::-1]
    turns = interpolate(first, second, np.linspace(0, 1, 50))
    products = turns @ np.swapaxes(turns, 1, 2)
    identity = np.broadcast_to(np.eye(3), products.shape)
    np.testing.assert_allclose(products, identity, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-6)


def test_equal_rotations_stay():
    matrices = matrices_of(draw_angles(5, 80))
    turns = interpolate(matrices, matrices, np.full(5, 0.5))
    np.testing.assert_allclose(turns, matrices, atol=1e-6)
