"""Cutting of sound into overlapping chunks, each of which an encoder turns into the
features of a few frames.

Source: Ditto. Offline it puts 2000 zeros before the sound, and live 1920, so that its
live features are 5 ms off. Here both have 2000, as in its training.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.features.base import Chunks
from jaxportrait.types import pytree

FRAME = 640
"""Samples of a frame, at 16 kHz and 25 frames a second."""
REACH = 80
"""Samples that the encoder's last feature of a chunk reads beyond its own."""
ROWS = 2
"""Features of the encoder for each frame, which are averaged."""

Encoder = Callable[[Float32[np.ndarray, " samples"]], Float32[np.ndarray, "rows width"]]
"""Turns the samples of a chunk into its features, 50 a second."""


@pytree
@dataclass(frozen=True)
class CutState:
    """State of the cutting of a live sound between two pieces of it.

    Attributes:
      samples: those that chunks to come will read.
      frames: frames whose features are complete.
    """

    samples: Float32[np.ndarray, " n"]
    frames: int


@dataclass(frozen=True)
class Cutting:
    """Frames of a chunk, of which the middle ones are used.

    Attributes:
      past: frames before those whose features a chunk gives.
      current: frames whose features it gives.
      future: frames after them.
      lead: zeros before the sound; by default so many that the features of a frame lie
        around it.
    """

    past: int = 3
    current: int = 5
    future: int = 2
    lead: int | None = None

    @property
    def length(self) -> int:
        """Samples of a chunk."""
        return (self.past + self.current + self.future) * FRAME + REACH

    @property
    def hop(self) -> int:
        """Samples from one chunk's start to the next one's."""
        return self.current * FRAME

    @property
    def silence(self) -> int:
        """Zeros before the sound."""
        if self.lead is not None:
            return self.lead
        return self.length - (self.current + self.future) * FRAME

    @property
    def lookahead(self) -> int:
        """Samples from the start of a chunk's first frame to the last that it reads."""
        return self.length - self.silence

    def features(
        self, encoder: Encoder, chunk: Float32[np.ndarray, " length"]
    ) -> Float32[np.ndarray, "current width"]:
        """Return the features of a chunk's current frames."""
        rows = encoder(chunk)
        # Counted from the end, where a chunk of another length has them too.
        first = -ROWS * (self.current + self.future)
        pairs = rows[first : -ROWS * self.future]
        return pairs.reshape(self.current, ROWS, -1).mean(axis=1, dtype=np.float32)

    def start(self) -> CutState:
        """Return the state before the first sample."""
        return CutState(np.zeros(self.silence, np.float32), 0)

    def step(
        self, state: CutState, samples: Float[np.ndarray, " n"]
    ) -> tuple[list[Float32[np.ndarray, " length"]], CutState]:
        """Return the chunks that samples complete, and the next state."""
        buffer = np.concatenate([state.samples, np.asarray(samples, np.float32)])
        # A long piece of sound may complete several chunks, a short one none.
        chunks = []
        while len(buffer) >= self.length:
            chunks.append(buffer[: self.length])
            buffer = buffer[self.hop :]
        frames = state.frames + self.current * len(chunks)
        return chunks, CutState(buffer, frames)

    def finish(self, state: CutState, count: int) -> list[Float32[np.ndarray, " l"]]:
        """Return the chunks that are missing to `count` frames; silence follows."""
        missing = ceil(max(0, count - state.frames) / self.current)
        if missing == 0:
            return []
        # Samples that the missing chunks read, of which some are there.
        total = (missing - 1) * self.hop + self.length
        silence = np.zeros(max(0, total - len(state.samples)), np.float32)
        chunks, _ = self.step(state, silence)
        return chunks[:missing]

    def cut(
        self, stream: Chunks, count: int
    ) -> Iterator[Float32[np.ndarray, " length"]]:
        """Yield the chunks of the first `count` frames of a sound; silence follows."""
        state = self.start()
        for samples in stream:
            chunks, state = self.step(state, samples)
            yield from chunks
            # The rest of the sound is of no interest.
            if state.frames >= count:
                return
        yield from self.finish(state, count)


def published_count(samples: int) -> int:
    """Return the frames of a sound as Ditto counts them offline.

    They are one more than needed for some multiples of a frame, through rounding.
    """
    # In this order, in float64: 4480 samples are 7 frames and make 8.
    return ceil(samples / 16000 * 25)


def published_live_count(samples: int, cutting: Cutting) -> int:
    """Return the frames of a sound as Ditto counts them live: whole chunks, which start
    within the sound and its lead."""
    return cutting.current * ceil((samples + cutting.silence) / cutting.hop)
