"""Grids, gaussians and 3-D sampling, by hand and against PyTorch's `grid_sample`."""

from functools import partial

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
from tests.arrays import draw, draw_uniform
from tests.closeness import assert_close

SAMPLING = 1e-5
GAUSSIAN = 3e-6
"""A position is rounded to 1e-7, and the flanks rise by 6 a unit and axis."""

sample = jax.jit(sample_volume)
translate = jax.jit(translate_volume)


@pytest.fixture
def volume() -> np.ndarray:
    return draw(2, 4, 5, 6, 3)


@pytest.fixture
def grid() -> np.ndarray:
    """Positions of which a good part lies outside."""
    return draw_uniform(-1.5, 1.5, 2, 3, 4, 5, 3, seed=1)


def torch_sample(volume: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    # PyTorch's name for trilinear sampling of a volume is "bilinear".
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


@pytest.mark.parametrize(
    ("options", "deviation"),
    [({}, 0.1), ({"depth_deviation": 0.5}, 0.5)],
    ids=["by default", "another along the depth"],
)
def test_gaussians_have_a_deviation_of_a_tenth(options, deviation):
    keypoints = draw_uniform(-1, 1, 2, 3, 3)
    size = (4, 16, 20)
    ours = keypoint_gaussians(keypoints, size, **options)
    axes = [np.linspace(-1, 1, length) for length in size]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, y, z], axis=-1)[None, ..., None, :]
    offsets = points - keypoints[:, None, None, None]
    # Distances in deviations.
    distances = offsets / np.array([0.1, 0.1, deviation])
    squares = (distances**2).sum(-1)
    assert_close(ours, np.exp(-0.5 * squares), GAUSSIAN)


def test_minus_one_is_the_outer_edge_of_the_first_voxel():
    volume = np.ones((1, 2, 2, 2, 1), np.float32)
    corner = [-1, -1, -1]
    centre = [-0.5, -0.5, -0.5]
    face = [-0.5, -1, -0.5]
    outside = [-3, 0, 0]
    points = np.array([corner, centre, face, outside], np.float32)
    values = sample(volume, points.reshape(1, 1, 1, 4, 3))
    # A corner has a share of 1/8 in its voxel, a face 1/2.
    np.testing.assert_allclose(values.ravel(), [1 / 8, 1, 1 / 2, 0])


def test_sampling_equals_that_of_torch_outside_too(volume, grid):
    doubles = [torch.from_numpy(array).double() for array in (volume, grid)]
    # Most positions are outside along one axis or more.
    outside = (np.abs(grid) > 1).any(-1)
    assert outside.mean() > 0.5
    assert_close(sample(volume, grid), torch_sample(*doubles), SAMPLING)


def test_gradients_of_sampling_equal_those_of_torch(volume, grid):
    cotangent = draw(*grid.shape[:-1], 3, seed=2)

    @jax.jit
    @partial(jax.grad, argnums=(0, 1))
    def gradients(volume, grid):
        return jnp.sum(sample(volume, grid) * cotangent)

    doubles = [torch.from_numpy(array).double() for array in (volume, grid)]
    leaves = [array.requires_grad_() for array in doubles]
    products = torch_sample(*leaves) * torch.from_numpy(cotangent)
    products.sum().backward()
    for ours, leaf in zip(gradients(volume, grid), leaves, strict=True):
        assert leaf.grad is not None
        assert_close(ours, leaf.grad, SAMPLING)


@pytest.mark.parametrize("volumes", [1, 2])
def test_translating_is_sampling_the_moved_grid(volume, volumes):
    volume = volume[:volumes]
    offsets = draw_uniform(-1, 1, 2, 4, 3, seed=1)
    # One volume rests, and one is moved wholly outside.
    offsets[0, 0] = 0
    offsets[1, 3] = (0, 2.5, 0)  # all outside
    moved = translate(volume, offsets)
    grid = coordinate_grid(*volume.shape[1:4])
    for k in range(offsets.shape[1]):
        offset = offsets[:, k, None, None, None]
        reference = sample(volume, grid[None] + offset)
        assert_close(moved[..., k, :], reference, SAMPLING)
    np.testing.assert_array_equal(moved[1, ..., 3, :], 0)


def test_one_volume_serves_every_grid(volume, grid):
    one = volume[:1]
    copies = np.repeat(one, 2, axis=0)
    np.testing.assert_array_equal(sample(one, grid), sample(copies, grid))


def test_positions_stay_float32_over_half_precision_volumes(volume, grid):
    half = jnp.asarray(volume, jnp.bfloat16)
    offsets = grid[:, 0, 0]
    samples = sample(half, grid)
    moved = translate(half, offsets)
    assert samples.dtype == moved.dtype == jnp.bfloat16
    bound = 2e-2  # bfloat16 has 8 bits
    assert_close(samples.astype(jnp.float32), sample(volume, grid), bound)
    assert_close(moved.astype(jnp.float32), translate(volume, offsets), bound)
