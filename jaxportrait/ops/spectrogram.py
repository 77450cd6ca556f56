"""Log-mel spectrograms, as Whisper computes them.

A clip's spectrogram is floored at its own maximum. So a long clip takes two passes over
its blocks: one for the maximum, one for the values.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

SAMPLE_RATE = 16_000
"""Samples a second that Whisper reads."""
WINDOW = 400
"""Samples of a frame: 25 ms, as Whisper's."""
HOP = 160
"""Samples from one frame to the next: 10 ms, as Whisper's."""
FEATURES_PER_SECOND = SAMPLE_RATE // (2 * HOP)
"""Two frames of the spectrogram make one audio feature."""
MARGIN = WINDOW // 2
"""Samples that a block of frames reads before its first and after its last hop."""

SMALLEST_POWER = 1e-10
"""Below it the logarithm is constant, as Whisper's."""
DYNAMIC_RANGE = 8.0
"""Decades below a clip's maximum that are not floored, as Whisper's."""

# Slaney's mel scale: linear to 1 kHz, and logarithmic above.
_LINEAR_STEP = 200.0 / 3.0  # Hz a mel
_KNEE_HERTZ = 1000.0
_KNEE_MEL = _KNEE_HERTZ / _LINEAR_STEP
_LOG_STEP = np.log(6.4) / 27.0  # 27 mels for a factor of 6.4


def log_mel(
    samples: Float[Array, "n samples"], mel_bins: int
) -> Float[Array, "n frames mel_bins"]:
    """Compute log10 of the mel power spectrum of frames every 160 samples.

    It is not yet floored or scaled; see `scale_log_mel`.

    Args:
      samples: 16 kHz. Frame i is centred on sample 160 i + 200, so `samples` starts 200
        before the first centre. frames = (samples - 400) // 160 + 1.
      mel_bins: mel filters.
    """
    frames = (samples.shape[1] - WINDOW) // HOP + 1
    # (frame, sample of its window)
    starts = np.arange(frames) * HOP
    index = starts[:, None] + np.arange(WINDOW)[None, :]
    windows = samples[:, index] * jnp.asarray(_hann())[None, None, :]
    spectrum = jnp.fft.rfft(windows, axis=-1)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    filters = jnp.asarray(mel_filters(mel_bins))
    mel = jnp.matmul(power, filters, precision=lax.Precision.HIGHEST)
    return jnp.log10(jnp.maximum(mel, SMALLEST_POWER))


def scale_log_mel(
    values: Float[Array, "*n"], maximum: Float[Array, ""]
) -> Float[Array, "*n"]:
    """Floor at the clip's maximum minus 8, then compute (x + 4) / 4."""
    return (jnp.maximum(values, maximum - DYNAMIC_RANGE) + 4.0) / 4.0


@functools.cache
def mel_filters(mel_bins: int) -> Float[np.ndarray, "bins mel_bins"]:
    """Return triangular filters from 0 to 8 kHz, each of unit area (Slaney's norm).

    They are evenly spaced on Slaney's mel scale.

    Source: Slaney, "Auditory toolbox", 1998, in librosa's form, which Whisper stores.
    """
    highest = SAMPLE_RATE / 2
    frequencies = np.linspace(0.0, highest, WINDOW // 2 + 1)
    mels = np.linspace(0.0, _hertz_to_mel(highest), mel_bins + 2)
    edges = _mel_to_hertz(mels)
    widths = np.diff(edges)[None, :]
    rising = (frequencies[:, None] - edges[None, :-2]) / widths[:, :-1]
    falling = (edges[None, 2:] - frequencies[:, None]) / widths[:, 1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    heights = 2.0 / (edges[2:] - edges[:-2])
    return (triangles * heights[None, :]).astype(np.float32)


def _hertz_to_mel(hertz: float) -> float:
    """Convert a frequency above 1 kHz."""
    return _KNEE_MEL + np.log(hertz / _KNEE_HERTZ) / _LOG_STEP


def _mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    linear = _LINEAR_STEP * mel
    logarithmic = _KNEE_HERTZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, linear, logarithmic)


def _hann() -> Float[np.ndarray, " window"]:
    """Return the periodic Hann window."""
    angles = 2.0 * np.pi * np.arange(WINDOW) / WINDOW
    return (0.5 - 0.5 * np.cos(angles)).astype(np.float32)
