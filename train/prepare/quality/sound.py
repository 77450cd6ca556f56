"""Sound of a clip as the gates read it: a checksum of its content, silence, and a small
spectrogram."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Float16, Float32

from jaxportrait.media.audio.read import sound_tracks
from jaxportrait.media.demux import open_media
from jaxportrait.ops.spectrogram import (
    SAMPLE_RATE,
    SMALLEST_POWER,
    WINDOW,
    mel_filters,
)

SILENT = 1e-3
"""Loudness below which a frame is silent, of full scale: 60 dB below it."""
BANDS = 20
SPECTRUM_RATE = 50
"""Spectra a second."""
STEP = SAMPLE_RATE // SPECTRUM_RATE


def sound_checksum(path: Path) -> str:
    """Return a checksum of a file's compressed sound, which other containers keep.

    Raises:
      ValueError, OSError: the file cannot be read, or holds no sound.
    """
    digest = hashlib.sha256()
    with open_media(path) as container:
        stream = sound_tracks(container)[0]
        for packet in container.demux(stream):
            digest.update(bytes(packet))
    return digest.hexdigest()[:16]


def share_of_silence(envelope: Float32[np.ndarray, " frames"]) -> float:
    """Return the share of frames that are silent.

    Args:
      envelope: root mean square of the sound at each frame.
    """
    return float((envelope < SILENT).mean())


def spectrum(
    chunks: Iterable[Float32[np.ndarray, " samples"]], start: int, count: int
) -> Float16[np.ndarray, "count bands"]:
    """Return the logarithm of the power in mel bands, 50 times a second.

    Args:
      chunks: 16 kHz sound.
      start: sample at which the first spectrum begins.
      count: number of spectra; silence follows the sound's end.
    """
    filters = mel_filters(BANDS)
    # periodic: the symmetric one of a sample more, without its end
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    rows = [np.zeros((0, BANDS), np.float32)]
    buffer = np.zeros(0, np.float32)
    skip = start
    # The last windows read silence.
    for chunk in (*chunks, np.zeros(WINDOW, np.float32)):
        buffer = np.concatenate([buffer, chunk[skip:]])
        # the start may lie several chunks later
        skip = max(0, skip - chunk.size)
        frames = (buffer.size - WINDOW) // STEP + 1
        if frames < 1:
            continue
        # frame, sample of its window
        index = np.arange(frames)[:, None] * STEP + np.arange(WINDOW)[None]
        power = np.square(np.abs(np.fft.rfft(buffer[index] * window)))
        rows.append(np.log10(np.maximum(power @ filters, SMALLEST_POWER)))
        # windows overlap: the rest begins the next ones
        buffer = buffer[frames * STEP :]
    bands = np.concatenate(rows)[:count]
    silence = np.full((count - len(bands), BANDS), np.log10(SMALLEST_POWER))
    return np.concatenate([bands, silence]).astype(np.float16)
