"""A clip's samples, cut into blocks of spectrogram frames on the host."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from jaxportrait.features.base import Chunks
from jaxportrait.ops.spectrogram import HOP, MARGIN

Block = tuple[Float32[np.ndarray, "1 samples"], np.int32]
"""Samples of one block, and how many of its frames belong to the clip."""


def samples_of(frames: int) -> int:
    """Return how many samples so many consecutive spectrogram frames read."""
    # Frames are centred on hops and reach MARGIN samples to either side.
    return (frames - 1) * HOP + 2 * MARGIN


def spectrogram_blocks(chunks: Chunks, length: int, hops: int) -> Iterator[Block]:
    """Cut a clip into blocks of `hops` spectrogram frames.

    A block has the samples that its first and its last frame reach, and blocks are of
    one size. The clip is mirrored at both ends, as Whisper does.

    Args:
      chunks: the clip's samples.
      length: samples to which a shorter clip is padded with silence.
    """
    size = samples_of(hops)
    source = _with_silence(chunks, length)
    # Enough samples to mirror the start.
    buffer = _fill(np.zeros(0, np.float32), source, size)
    # From here on the buffer starts MARGIN samples before the block's first frame.
    buffer = np.concatenate([buffer[MARGIN:0:-1], buffer])
    ended = False
    # A block that is not full is the last: fewer than a hop follow it.
    while not ended:
        buffer = _fill(buffer, source, size)
        valid = min((buffer.size - MARGIN) // HOP, hops)
        if valid <= 0:
            return
        ended = buffer.size < size
        if ended:
            buffer = np.concatenate([buffer, buffer[-2 : -MARGIN - 2 : -1]])
        # Blocks are of one size, so that one program encodes all of them.
        samples = np.zeros((1, size), np.float32)
        samples[0, : min(size, buffer.size)] = buffer[:size]
        yield samples, np.int32(valid)
        # The rest is read by the next block too.
        buffer = buffer[hops * HOP :]


def _fill(buffer: np.ndarray, source: Iterator[np.ndarray], size: int) -> np.ndarray:
    """Return the buffer, grown from `source` to `size` or to the source's end."""
    pieces = [buffer]
    total = buffer.size
    while total < size:
        chunk = next(source, None)
        if chunk is None:
            break
        pieces.append(chunk)
        total += chunk.size
    return np.concatenate(pieces)


def _with_silence(chunks: Chunks, length: int) -> Iterator[np.ndarray]:
    """Yield the chunks, then zeros to `length` samples in all."""
    for chunk in chunks:
        length -= chunk.size
        yield chunk
    if length > 0:
        yield np.zeros(length, np.float32)
