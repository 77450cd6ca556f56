"""How far a made picture is from the true one: pure functions on 8-bit RGB pictures and
landmarks."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]

WINDOW, DEVIATION = 11, 1.5  # pixels
INNER = slice(WINDOW // 2, -(WINDOW // 2))
"""Rows or columns around which the window lies inside the picture."""
STEADY_MEAN, STEADY_VARIANCE = (0.01 * 255) ** 2, (0.03 * 255) ** 2
ROUNDING_ERROR = 1 / 12
"""Mean squared error of rounding to whole levels; pictures that differ by less are
taken as alike."""
LUMINANCE = np.array([0.299, 0.587, 0.114])
MARGIN = 0.25  # around landmarks, in sides of their box: lips and lids are thicker than their lines


def signal_to_noise(made: Picture, true: Picture, where: Mask) -> float:
    """Peak signal-to-noise ratio in dB over the pixels `where`; 58.9 for equal
    pictures."""
    error = np.square(made[where].astype(np.float64) - true[where]).mean()
    return float(10 * np.log10(255**2 / max(error, ROUNDING_ERROR)))


def similarity(made: Picture, true: Picture) -> Float[np.ndarray, "h w"]:
    """Structural similarity of luminance at every pixel; NaN where its window would
    reach beyond the picture.

    Source: Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004.
    """
    x, y = made @ LUMINANCE, true @ LUMINANCE
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x, variance_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + STEADY_MEAN) / (
        mean_x**2 + mean_y**2 + STEADY_MEAN
    )
    structure = (2 * covariance + STEADY_VARIANCE) / (
        variance_x + variance_y + STEADY_VARIANCE
    )
    whole = np.full(x.shape, np.nan)
    whole[INNER, INNER] = (luminance * structure)[INNER, INNER]
    return whole


def landmark_box(points: Float[np.ndarray, "l 2"], size: int) -> Mask:
    """The pixels of a picture of `size` pixels a side in the box of `points`, grown by
    a margin.

    Args:
      points: x and y; -1 and 1 are the centres of the first and last pixel. None of
        them, or NaN, gives an empty box.
    """
    mask = np.zeros((size, size), bool)
    if points.size and np.isfinite(points).all():
        pixels = (points + 1) / 2 * (size - 1)
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        margin = MARGIN * (high - low).max()
        left, top = np.floor(low - margin).astype(int).clip(0)
        right, bottom = np.ceil(high + margin).astype(int).clip(0) + 1
        mask[top:bottom, left:right] = True
    return mask


def _blur(image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    return cv2.GaussianBlur(image, (WINDOW, WINDOW), DEVIATION)
