"""Checks of samples: arrays of callers, and frames of files."""

from fractions import Fraction

import av
import numpy as np
from jaxtyping import Float32, Num

MAX_CHANNELS = 8
MOST_FILE_CHANNELS = 64
LEAST_SAMPLE_RATE = 1_000
MOST_SAMPLE_RATE = 6_144_000
"""Hz, twice the highest rate at which FFmpeg decodes DSD."""
HIGHEST_PEAK = 8.0
"""Full scale is 1; codecs overshoot by less, samples of integers' size by far more."""
FLOAT_FORMATS = ("flt", "fltp", "dbl", "dblp")


def check_sample_rate(sample_rate: int, name: str) -> None:
    """Raise a ValueError unless sound can have so many samples a second."""
    if not LEAST_SAMPLE_RATE <= sample_rate <= MOST_SAMPLE_RATE:
        raise ValueError(
            f"{name} has a sample rate of {sample_rate} Hz: "
            f"it must be from {LEAST_SAMPLE_RATE} to {MOST_SAMPLE_RATE}"
        )


def check_channels(channels: int, name: str) -> None:
    """Raise a ValueError for more channels than FFmpeg resamples."""
    if channels > MOST_FILE_CHANNELS:
        raise ValueError(
            f"{name} has {channels} channels: mix them to {MOST_FILE_CHANNELS} or fewer"
        )


def unit_samples(
    samples: Num[np.ndarray, "n"] | Num[np.ndarray, "n c"],
) -> Float32[np.ndarray, "n c"]:
    """Bring samples to floats in [-1, 1], channels side by side.

    Raises:
      ValueError: a shape or a type that is no sound.
    """
    samples = np.asarray(samples)
    columns = samples[:, None] if samples.ndim == 1 else samples
    if columns.ndim != 2 or not 1 <= columns.shape[1] <= MAX_CHANNELS:
        raise ValueError(
            f"samples must be (n,) or (n, channels) with 1 to {MAX_CHANNELS} channels, got {samples.shape}"
        )
    if np.issubdtype(samples.dtype, np.signedinteger):
        full_scale = -float(np.iinfo(samples.dtype).min)
        return (columns / full_scale).astype(np.float32)
    if not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(
            f"samples must be floats in [-1, 1] or signed integers, got {samples.dtype}"
        )
    # what float32 cannot hold becomes infinite, and is refused as that
    with np.errstate(over="ignore"):
        return columns.astype(np.float32)


def find_peak(frame: av.AudioFrame, start: Fraction, name: str) -> float:
    """Return the largest absolute value of a frame of floats; 0 for integers, which
    have no values beyond full scale.

    Args:
      frame: samples as decoded.
      start: seconds before the frame.
      name: name of the clip, for messages.

    Raises:
      ValueError: a sample that is not finite; the message states its time.
    """
    if frame.format.name not in FLOAT_FORMATS or not frame.samples:
        return 0.0
    # (channels, n), or (1, n * channels) for packed samples
    values = frame.to_ndarray()
    peak = float(np.abs(values).max())
    if np.isfinite(peak):
        return peak
    width = 1 if frame.format.is_planar else frame.layout.nb_channels
    flaws = np.flatnonzero(~np.isfinite(values).all(axis=0))
    seconds = float(start) + int(flaws[0]) // width / frame.sample_rate
    raise ValueError(
        f"{name} has a sample that is not a finite number at {seconds:.4f} s: export the sound again"
    )


def check_peak(peak: float, name: str) -> None:
    """Raise a ValueError for samples far beyond full scale."""
    if peak > HIGHEST_PEAK:
        raise ValueError(
            f"{name} has a peak of {peak:g}, and full scale is 1: "
            "divide floats by the range of the integers that they were"
        )
