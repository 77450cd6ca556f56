"""Slots of sessions: as many as the device can serve in time, and no more."""

from collections.abc import Iterator
from contextlib import contextmanager


class SlotsTakenError(RuntimeError):
    """There is no slot for a further session."""


class Slots:
    """Counts the sessions of a server; used within one event loop.

    Attributes:
      count: slots.
      taken: slots in use.
    """

    def __init__(self, count: int):
        self.count = count
        self.taken = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a slot during the block.

        Raises:
          SlotsTakenError: all are taken.
        """
        if self.taken >= self.count:
            raise SlotsTakenError(
                f"all {self.count} sessions of this server are taken: try again later"
            )
        # No lock: the event loop is one thread.
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
