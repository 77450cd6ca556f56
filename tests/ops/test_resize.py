"""Sizes of maps and sequences, against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from jaxportrait.ops.resize import (
    max_pool,
    mean_pool,
    pixel_shuffle,
    resize_linear,
    upsample_nearest,
)
from tests.arrays import draw
from tests.closeness import assert_close

BOUND = 1e-6


@pytest.fixture
def maps() -> np.ndarray:
    return draw(2, 4, 6, 12)


def channels_first(maps: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(maps).movedim(-1, 1)


@pytest.mark.parametrize("factor", [2, 4])
def test_nearest_upsampling_equals_that_of_torch(maps, factor):
    reference = F.interpolate(
        channels_first(maps), scale_factor=factor, mode="nearest"
    ).movedim(1, -1)
    np.testing.assert_array_equal(upsample_nearest(maps, factor), reference)


def test_nearest_upsampling_leaves_depth_alone(maps):
    # (n, h, w, c) -> (n, 1, h, w, c)
    volume = maps[:, None]
    fine = upsample_nearest(volume, 2)
    np.testing.assert_array_equal(fine[:, 0], upsample_nearest(maps, 2))


@pytest.mark.parametrize("height", [4, 3])
def test_max_pooling_equals_that_of_torch_and_leaves_out_an_odd_row(maps, height):
    reference = F.max_pool2d(channels_first(maps[:, :height]), 2).movedim(1, -1)
    np.testing.assert_array_equal(max_pool(maps[:, :height]), reference)


def test_mean_pooling_equals_that_of_torch_with_any_leading_axes(maps):
    reference = F.avg_pool2d(channels_first(maps), 2).movedim(1, -1)
    assert_close(mean_pool(maps), reference, BOUND)
    assert_close(mean_pool(maps[:, None]), reference[:, None], BOUND)


@pytest.mark.parametrize(
    ("frames", "length"), [(50, 30), (30, 50), (7, 7), (1, 5), (5, 1)]
)
def test_linear_resizing_equals_that_of_torch_with_aligned_corners(frames, length):
    sequence = draw(2, frames, 3)
    reference = F.interpolate(
        channels_first(sequence), length, mode="linear", align_corners=True
    ).movedim(1, -1)
    assert_close(resize_linear(jnp.asarray(sequence), length), reference, BOUND)


@pytest.mark.parametrize("factor", [1, 2])
def test_pixel_shuffle_equals_that_of_torch(maps, factor):
    reference = F.pixel_shuffle(channels_first(maps), factor).movedim(1, -1)
    np.testing.assert_array_equal(pixel_shuffle(maps, factor), reference)
