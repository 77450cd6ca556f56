"""Grids, gaussians and 3-D sampling, by hand and against PyTorch's `grid_sample`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from jaxportrait.ops.grid import (
    axis_positions,
    coordinate_grid,
    keypoint_gaussians,
    sample_volume,
    translate_volume,
)
from tests.closeness import assert_close

SAMPLING = 1e-5
GAUSSIAN = (
    3e-6  # a position is rounded to 1e-7, and the flanks rise by 6 a unit an axis
)

sample, translate = jax.jit(sample_volume), jax.jit(translate_volume)


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, 4, 5, 6, 3), np.float32)


@pytest.fixture
def grid() -> np.ndarray:
    """Positions of which a good part lies outside."""
    return (
        np.random.default_rng(1).uniform(-1.5, 1.5, (2, 3, 4, 5, 3)).astype(np.float32)
    )


def torch_sample(volume: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    sampled = F.grid_sample(
        volume.movedim(-1, 1),
        grid,
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    return sampled.movedim(1, -1)


def test_positions_run_from_edge_to_edge():
    np.testing.assert_allclose(axis_positions(5), [-1, -0.5, 0, 0.5, 1])


def test_a_grid_point_is_x_then_y_then_z():
    grid = coordinate_grid(3, 5, 2)
    assert grid.shape == (3, 5, 2, 3)
    np.testing.assert_allclose(grid[2, 1, 0], [-1, -0.5, 1])


def test_gaussians_have_a_deviation_of_a_tenth_and_one_of_their_own_along_the_depth():
    keypoints = np.random.default_rng(0).uniform(-1, 1, (2, 3, 3)).astype(np.float32)
    z, y, x = np.meshgrid(
        *(np.linspace(-1, 1, size) for size in (4, 16, 20)), indexing="ij"
    )
    points = np.stack([x, y, z], axis=-1)[None, ..., None, :]
    for deviation, made in (
        (0.1, keypoint_gaussians(keypoints, (4, 16, 20))),
        (0.5, keypoint_gaussians(keypoints, (4, 16, 20), 0.5)),
    ):
        distance = (points - keypoints[:, None, None, None]) / np.array(
            [0.1, 0.1, deviation]
        )
        assert_close(made, np.exp(-0.5 * (distance**2).sum(-1)), GAUSSIAN)


def test_minus_one_is_the_outer_edge_of_the_first_voxel():
    volume = np.ones((1, 2, 2, 2, 1), np.float32)
    points = np.array(
        [[-1, -1, -1], [-0.5, -0.5, -0.5], [-0.5, -1, -0.5], [-3, 0, 0]], np.float32
    )
    sampled = sample(volume, points.reshape(1, 1, 1, 4, 3))
    np.testing.assert_allclose(sampled.ravel(), [1 / 8, 1, 1 / 2, 0])


def test_sampling_is_that_of_torch_outside_too(volume, grid):
    reference = torch_sample(
        torch.from_numpy(volume).double(), torch.from_numpy(grid).double()
    )
    assert (np.abs(grid) > 1).any(-1).mean() > 0.5
    assert_close(sample(volume, grid), reference, SAMPLING)


def test_gradients_of_sampling_are_those_of_torch(volume, grid):
    cotangent = np.random.default_rng(2).standard_normal(
        (*grid.shape[:-1], 3), np.float32
    )
    leaves = [
        torch.from_numpy(array).double().requires_grad_() for array in (volume, grid)
    ]
    (torch_sample(*leaves) * torch.from_numpy(cotangent)).sum().backward()
    gradients = jax.jit(
        jax.grad(lambda v, g: jnp.sum(sample(v, g) * cotangent), (0, 1))
    )(volume, grid)
    for ours, leaf in zip(gradients, leaves, strict=True):
        assert leaf.grad is not None
        assert_close(ours, leaf.grad, SAMPLING)


@pytest.mark.parametrize("volumes", [1, 2])
def test_translating_is_sampling_the_moved_grid(volume, volumes):
    volume = volume[:volumes]
    offsets = np.random.default_rng(1).uniform(-1, 1, (2, 4, 3)).astype(np.float32)
    offsets[0, 0] = 0
    offsets[1, 3] = (0, 2.5, 0)  # all outside
    moved = translate(volume, offsets)
    grid = coordinate_grid(*volume.shape[1:4])
    for k in range(offsets.shape[1]):
        shifted = grid[None] + offsets[:, k, None, None, None]
        assert_close(moved[..., k, :], sample(volume, shifted), SAMPLING)
    np.testing.assert_array_equal(moved[1, ..., 3, :], 0)


def test_one_volume_serves_every_grid(volume, grid):
    repeated = np.repeat(volume[:1], 2, axis=0)
    np.testing.assert_array_equal(sample(volume[:1], grid), sample(repeated, grid))


def test_positions_stay_float32_over_half_precision_volumes(volume, grid):
    half = jnp.asarray(volume, jnp.bfloat16)
    sampled, moved = sample(half, grid), translate(half, grid[:, 0, 0])
    assert sampled.dtype == moved.dtype == jnp.bfloat16
    assert_close(
        sampled.astype(jnp.float32), sample(volume, grid), 2e-2
    )  # bfloat16 has 8 bits
    assert_close(moved.astype(jnp.float32), translate(volume, grid[:, 0, 0]), 2e-2)
