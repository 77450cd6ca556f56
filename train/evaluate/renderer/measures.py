"""Distances between a rendered picture and the true one: pure functions on 8-bit RGB
pictures and landmarks."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]

# Wang et al. (see `similarity`): an 11 x 11 Gaussian window of deviation 1.5 pixels
WINDOW = 11
DEVIATION = 1.5
INNER = slice(WINDOW // 2, -(WINDOW // 2))
"""Rows or columns around which the window lies inside the picture."""
# their constants K1 and K2, for levels up to 255
STEADY_MEAN = (0.01 * 255) ** 2
STEADY_VARIANCE = (0.03 * 255) ** 2
ROUNDING_ERROR = 1 / 12
"""Mean squared error of rounding to whole levels; pictures that differ by less count as
equal."""
# ITU-R BT.601
LUMINANCE = np.array([0.299, 0.587, 0.114])
MARGIN = 0.25
"""Margin around landmarks, in sides of their box: lips and lids are thicker than their
lines."""


def signal_to_noise(rendered: Picture, true: Picture, where: Mask) -> float:
    """Return the peak signal-to-noise ratio in dB over the pixels `where`; 58.9 for
    equal pictures."""
    difference = rendered[where].astype(np.float64) - true[where]
    error = max(np.square(difference).mean(), ROUNDING_ERROR)
    return float(10 * np.log10(255**2 / error))


def similarity(rendered: Picture, true: Picture) -> Float[np.ndarray, "h w"]:
    """Return the structural similarity of luminance at every pixel; NaN where its window
    would reach beyond the picture.

    Source: Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004.
    """
    x = rendered @ LUMINANCE
    y = true @ LUMINANCE
    mean_x = _blur(x)
    mean_y = _blur(y)
    # moments under the window
    variances = _blur(x * x) - mean_x**2 + _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = 2 * mean_x * mean_y + STEADY_MEAN
    luminance = luminance / (mean_x**2 + mean_y**2 + STEADY_MEAN)
    structure = (2 * covariance + STEADY_VARIANCE) / (variances + STEADY_VARIANCE)
    whole = np.full(x.shape, np.nan)
    whole[INNER, INNER] = (luminance * structure)[INNER, INNER]
    return whole


def landmark_box(points: Float[np.ndarray, "l 2"], size: int) -> Mask:
    """Return the pixels of a picture of `size` pixels a side in the box of `points`,
    grown by a margin.

    Args:
      points: x and y; -1 and 1 are the centres of the first and last pixel. Without
        points, or with NaN, the box is empty.
      size: side of the picture.
    """
    mask = np.zeros((size, size), bool)
    if not points.size or not np.isfinite(points).all():
        return mask
    # [-1, 1] -> pixels
    pixels = (points + 1) / 2 * (size - 1)
    low = pixels.min(axis=0)
    high = pixels.max(axis=0)
    margin = MARGIN * (high - low).max()
    # a negative index would count from the far side
    left, top = np.floor(low - margin).astype(int).clip(0)
    right, bottom = np.ceil(high + margin).astype(int).clip(0) + 1
    mask[top:bottom, left:right] = True
    return mask


def _blur(image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    return cv2.GaussianBlur(image, (WINDOW, WINDOW), DEVIATION)
