"""Sound between a socket and a session: bounded, so that a fast sender waits."""

import asyncio
import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from jaxportrait.media.audio import SAMPLE_RATE

PIECE = SAMPLE_RATE // 2
"""Samples that are taken at once: fewer than a window needs, so that none waits."""


@dataclass(frozen=True)
class Sound:
    """Consecutive samples of a client.

    Attributes:
      samples: 16 kHz mono.
      arrival: time of the clock at which the last of them arrived.
    """

    samples: Float32[np.ndarray, " n"]
    arrival: float


class Inbox:
    """Samples that a session has not taken yet; used within one event loop.

    Args:
      seconds: most that is held.
    """

    def __init__(self, seconds: float):
        self._most = round(seconds * SAMPLE_RATE)
        self._pieces: list[Sound] = []
        self._size = 0
        self._has_ended = False
        self._changed = asyncio.Condition()

    async def put(self, samples: Float32[np.ndarray, " n"]) -> None:
        """Add samples, as soon as there is room; none after the end."""
        if self._has_ended:
            return
        # Before it waits for room: that is a part of a frame's time.
        arrival = time.monotonic()
        for start in range(0, len(samples), PIECE):
            piece = samples[start : start + PIECE]
            async with self._changed:
                await self._changed.wait_for(lambda: self._size < self._most)
                self._pieces.append(Sound(piece, arrival))
                self._size += len(piece)
                self._changed.notify_all()

    async def end(self) -> None:
        """Note that the sound has ended."""
        async with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    async def take(self, seconds: float | None) -> Sound | None:
        """Return the next samples; None if none come in so many seconds, or any more."""

        def is_ready() -> bool:
            return bool(self._pieces) or self._has_ended

        async with self._changed:
            # Cancelled by its limit, the wait leaves all as it is.
            try:
                await asyncio.wait_for(self._changed.wait_for(is_ready), seconds)
            except TimeoutError:
                return None
            if not self._pieces:
                return None
            sound = self._join()
            self._changed.notify_all()
            return sound

    @property
    def is_over(self) -> bool:
        """True when the sound has ended and all of it is taken."""
        return self._has_ended and not self._pieces

    def _join(self) -> Sound:
        """Take pieces up to the length `PIECE`, one at least."""
        # Chunks of milliseconds would cost a step each.
        pieces = [self._pieces.pop(0)]
        size = len(pieces[0].samples)
        while self._pieces and size + len(self._pieces[0].samples) <= PIECE:
            pieces.append(self._pieces.pop(0))
            size += len(pieces[-1].samples)
        self._size -= size
        samples = np.concatenate([piece.samples for piece in pieces])
        return Sound(samples, pieces[-1].arrival)
