"""Measures of pictures on figures known by hand."""

import numpy as np
import pytest

from tests.train.evaluate.renderer.heads import SIZE
from train.evaluate.renderer.measures import (
    INNER,
    landmark_box,
    signal_to_noise,
    similarity,
)
from train.evaluate.renderer.pairs import Pair
from train.evaluate.renderer.report import measure


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def decibels(error: float) -> float:
    """Peak signal-to-noise ratio of a mean squared error."""
    return 10 * np.log10(255**2 / error)


def test_the_signal_to_noise_ratio_of_a_known_error():
    true = np.full((8, 8, 3), 100, np.uint8)
    everywhere = np.ones((8, 8), bool)
    first_row = np.arange(64).reshape(8, 8) < 8
    # an eighth of the pixels is off by 20 levels
    rendered = true.copy()
    rendered[0] += 20

    whole = signal_to_noise(rendered, true, everywhere)
    assert whole == pytest.approx(decibels(400 / 8))

    # the first row is wrong only
    row = signal_to_noise(rendered, true, first_row)
    assert row == pytest.approx(20 * np.log10(255 / 20))

    # equal pictures differ by the rounding error
    assert signal_to_noise(true, true, everywhere) == pytest.approx(decibels(1 / 12))


def test_the_similarity_of_flat_pictures_is_that_of_their_means():
    a = np.full((SIZE, SIZE, 3), 100, np.uint8)
    b = np.full((SIZE, SIZE, 3), 150, np.uint8)
    # there is no structure, so only luminance counts
    steady = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + steady) / (100**2 + 150**2 + steady)

    likeness = similarity(a, b)
    np.testing.assert_allclose(likeness[INNER, INNER], expected)

    # the window reaches 5 pixels beyond its centre
    assert np.isnan(likeness[:5]).all()
    assert np.isfinite(likeness).sum() == (SIZE - 10) ** 2


def test_the_similarity_at_a_pixel_is_the_formula_over_its_window():
    x = noise(0)[:11, :11]
    y = noise(1)[:11, :11]
    # a Gaussian window
    steps = np.arange(-5, 6)
    weight = np.exp(-np.add.outer(steps**2, steps**2) / (2 * 1.5**2))
    weight /= weight.sum()

    def mean(values: np.ndarray) -> float:
        return (weight * values).sum()

    luminance = np.array([0.299, 0.587, 0.114])
    a = x @ luminance
    b = y @ luminance

    # weighted moments
    mean_a = mean(a)
    mean_b = mean(b)
    variance_a = mean((a - mean_a) ** 2)
    variance_b = mean((b - mean_b) ** 2)
    covariance = mean((a - mean_a) * (b - mean_b))
    # (0.01 * 255)^2 and (0.03 * 255)^2
    steady_mean = 2.55**2
    steady_variance = 7.65**2

    # luminance
    expected = 2 * mean_a * mean_b + steady_mean

    # contrast and structure in one term
    expected *= 2 * covariance + steady_variance

    expected /= mean_a**2 + mean_b**2 + steady_mean
    expected /= variance_a + variance_b + steady_variance

    # only the middle has a whole window
    likeness = similarity(x, y)
    assert likeness[5, 5] == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(likeness).sum() == 1

    # a picture is like itself
    assert similarity(x, x)[5, 5] == pytest.approx(1)


def test_a_box_holds_its_landmarks_and_a_margin():
    points = np.array([[-1.0, 0.0], [1.0, 0.5]])
    # a quarter of the longer side is 25 pixels
    rows, columns = np.nonzero(landmark_box(points, 101))
    assert (columns.min(), columns.max()) == (0, 100)

    assert (rows.min(), rows.max()) == (50 - 25, 75 + 25)

    unknown = np.array([[np.nan, 0.0], [0.1, 0.1]])
    assert not landmark_box(unknown, 101).any()
    assert not landmark_box(np.zeros((0, 2)), 101).any()


def pair_of(rendered: np.ndarray, true: np.ndarray, landmarks: np.ndarray) -> Pair:
    source = np.zeros_like(true)
    return Pair("a", "A", source, true, rendered, true, landmarks.astype(np.float32))


def test_a_region_is_measured_where_its_landmarks_are_known():
    true = noise(0)
    # the upper left corner is black
    flawed = true.copy()
    flawed[:40, :40] = 0

    corner = np.array([[-0.9, -0.9], [-0.6, -0.6]])
    other = np.array([[0.9, 0.9], [0.6, 0.6]])

    # the second pair has no landmarks
    marked = pair_of(flawed, true, np.concatenate([corner, other]))
    unmarked = pair_of(true, true, np.full((4, 2), np.nan))
    regions = {"corner": [(0, 1)], "other": [(2, 3)]}

    measures = measure([marked, unmarked], regions)

    psnr = {name: row["made"]["psnr"] for name, row in measures.items()}
    # the black corner is far from the truth
    assert psnr["corner"] < 10
    assert measures["corner"]["made"]["ssim"] < 0.1
    assert psnr["other"] > 58
    assert psnr["picture"] > psnr["corner"] + 10

    # the reduced picture of these pairs is the true one
    assert measures["picture"]["reduced"]["ssim"] == pytest.approx(1)

    # a region without known landmarks is left out
    assert "nose" not in measure([unmarked], {"nose": [(0, 1)]})
