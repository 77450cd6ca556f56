"""Log-mel spectrograms, as Whisper computes them.

A clip's spectrogram is floored at its own maximum, so a long clip takes two passes over
its blocks: one for the maximum, one for the values.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

SAMPLE_RATE = 16_000
WINDOW = 400
HOP = 160
FEATURES_PER_SECOND = SAMPLE_RATE // (2 * HOP)
"""Two frames of the spectrogram make one audio feature."""
MARGIN = WINDOW // 2
"""Samples that a block of frames reads before its first and after its last hop."""

SMALLEST_POWER = 1e-10
DYNAMIC_RANGE = 8.0


def log_mel(
    samples: Float[Array, "n samples"], mel_bins: int
) -> Float[Array, "n frames mel_bins"]:
    """log10 of the mel power spectrum of frames every 160 samples, not yet floored or
    scaled.

    Args:
      samples: 16 kHz; frame i is centred on sample 160 i + 200, so `samples` starts 200
        before the first centre. frames = (samples - 400) // 160 + 1.
    """
    frames = (samples.shape[1] - WINDOW) // HOP + 1
    index = np.arange(frames)[:, None] * HOP + np.arange(WINDOW)[None, :]
    windowed = samples[:, index] * jnp.asarray(_hann())[None, None, :]
    spectrum = jnp.fft.rfft(windowed, axis=-1)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    mel = jnp.matmul(
        power, jnp.asarray(mel_filters(mel_bins)), precision=lax.Precision.HIGHEST
    )
    return jnp.log10(jnp.maximum(mel, SMALLEST_POWER))


def scale_log_mel(
    values: Float[Array, "*n"], maximum: Float[Array, ""]
) -> Float[Array, "*n"]:
    """Floor at the clip's maximum minus 8, then (x + 4) / 4."""
    return (jnp.maximum(values, maximum - DYNAMIC_RANGE) + 4.0) / 4.0


@functools.cache
def mel_filters(mel_bins: int) -> Float[np.ndarray, "bins mel_bins"]:
    """Triangular filters from 0 to 8 kHz, evenly spaced on Slaney's mel scale, each of
    unit area (Slaney's norm).

    Source: Slaney, "Auditory toolbox", 1998, in librosa's form, which Whisper stores.
    """
    frequencies = np.linspace(0.0, SAMPLE_RATE / 2, WINDOW // 2 + 1)
    edges = _mel_to_hertz(
        np.linspace(0.0, _hertz_to_mel(SAMPLE_RATE / 2), mel_bins + 2)
    )
    rising = (frequencies[:, None] - edges[None, :-2]) / np.diff(edges)[None, :-1]
    falling = (edges[None, 2:] - frequencies[:, None]) / np.diff(edges)[None, 1:]
    area = 2.0 / (edges[2:] - edges[:-2])
    return (np.maximum(0.0, np.minimum(rising, falling)) * area[None, :]).astype(
        np.float32
    )


# Slaney's scale: linear to 1 kHz (200 / 3 Hz a mel), logarithmic above (27 mels an
# octave of 6.4).
_LINEAR_STEP, _KNEE_HERTZ, _LOG_STEP = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
_KNEE_MEL = _KNEE_HERTZ / _LINEAR_STEP


def _hertz_to_mel(hertz: float) -> float:
    return _KNEE_MEL + np.log(hertz / _KNEE_HERTZ) / _LOG_STEP


def _mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(
        mel < _KNEE_MEL,
        mel * _LINEAR_STEP,
        _KNEE_HERTZ * np.exp(_LOG_STEP * (mel - _KNEE_MEL)),
    )


def _hann() -> Float[np.ndarray, " window"]:
    """The periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)).astype(
        np.float32
    )
