"""The clock of a session: silence takes the place of sound that does not come."""

import time
from collections.abc import Callable

from jaxportrait.media.audio import SAMPLE_RATE

PATIENCE = 0.12
"""Seconds that sound may be late before silence takes its place: three chunks of a
browser's microphone."""
MOST = SAMPLE_RATE // 2
"""Samples of silence at once."""


class LiveClock:
    """Compares the length of a sound with the time that has passed.

    Args:
      patience: seconds that sound may be late.
      clock: returns seconds.
    """

    def __init__(
        self,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._patience = patience
        self._clock = clock
        self._start = clock()

    def missing(self, samples: int) -> int:
        """Return the samples of silence that keep a sound of this length in time.

        Time beyond `MOST` is left out: the reader or the device was slower than the
        session, and would be slower still by a flood of silence.
        """
        elapsed = self._clock() - self._start - self._patience
        due = round(elapsed * SAMPLE_RATE) - samples
        # Nobody waits for what is that late.
        if due > MOST:
            self._start += (due - MOST) / SAMPLE_RATE
        return min(max(0, due), MOST)
