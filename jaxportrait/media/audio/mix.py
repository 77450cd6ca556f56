"""A mix of sounds that start together, decoded as streams."""

from collections.abc import Iterator, Sequence
from functools import partial

import av
import numpy as np
from jaxtyping import Float32

from jaxportrait.media.audio.clip import Audio
from jaxportrait.media.audio.frames import (
    columns_of,
    frames_of_samples,
    resample,
)

MIX_RATE = 48_000
"""Samples a second of a mix."""
CHANNELS = 2

Block = Float32[np.ndarray, "n 2"]


def mix_audio(clips: Sequence[Audio]) -> Audio:
    """Return the sum of sounds, as long as the longest; beyond full scale it is cut.

    One sound, also if it is passed several times, is returned as it is.

    Raises:
      ValueError: there are no sounds.
    """
    # The same sound moves several faces, and is heard once.
    distinct = list({id(clip): clip for clip in clips}.values())
    if not distinct:
        raise ValueError("there are no sounds to mix: pass one at least")
    if len(distinct) == 1:
        return distinct[0]
    return Audio.measure(partial(_decode, distinct), None)


def _decode(clips: Sequence[Audio]) -> Iterator[av.AudioFrame]:
    streams = [_blocks(clip) for clip in clips]
    start = 0
    while blocks := [block for block in map(_next, streams) if len(block)]:
        # A sound that has ended is silent.
        total = np.zeros((max(map(len, blocks)), CHANNELS), np.float32)
        for block in blocks:
            total[: len(block)] += block
        for frame in frames_of_samples(np.clip(total, -1, 1), MIX_RATE):
            # Every block has a place on the clock of the mix.
            frame.pts = start
            start += frame.samples
            yield frame


def _next(stream: Iterator[Block]) -> Block:
    return next(stream, np.zeros((0, CHANNELS), np.float32))


def _blocks(clip: Audio) -> Iterator[Block]:
    """Yield a clip in blocks of a second, the last of which may be shorter.

    A stream that changes its format has short frames within; they are joined.
    """
    # Samples that do not fill a block yet.
    rest = np.zeros((0, CHANNELS), np.float32)
    # FFmpeg makes one channel quieter on its way to two.
    layout = "mono" if clip.channels == 1 else "stereo"
    for frame in resample(clip.decode(), MIX_RATE, layout, MIX_RATE):
        columns = columns_of(frame)
        both = np.broadcast_to(columns, (len(columns), CHANNELS))
        rest = np.concatenate([rest, both])
        while len(rest) >= MIX_RATE:
            yield rest[:MIX_RATE]
            rest = rest[MIX_RATE:]
    if len(rest):
        yield rest
