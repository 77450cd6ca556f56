"""Portraits that clients have uploaded for their sessions."""

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jaxportrait.portrait import Portrait


class UnknownPortraitError(LookupError):
    """A portrait's id that does not exist, or has expired."""


@dataclass
class _Entry:
    portrait: Portrait
    client: str
    last_use: float


class Portraits:
    """Portraits in memory, of which those unused for longest are forgotten.

    Args:
      most: number that is kept.
      most_each: number that is kept of one client.
      expiry: seconds after the last use.
      clock: returns seconds.
    """

    def __init__(
        self,
        most: int = 16,
        most_each: int = 4,
        expiry: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._most = most
        self._most_each = most_each
        self._expiry = expiry
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def add(self, portrait: Portrait, client: str = "") -> str:
        """Keep a portrait, and return its id, which only its client knows.

        Args:
          client: name of the person or program that sent it, such as an address.
        """
        portrait_id = secrets.token_hex(16)
        with self._lock:
            self._forget_old()
            # Encoded portraits take memory, on the device too.
            share = [key for key, one in self._entries.items() if one.client == client]
            if len(share) >= self._most_each:
                self._forget_oldest(share)
            elif len(self._entries) >= self._most:
                self._forget_oldest(self._entries)
            self._entries[portrait_id] = _Entry(portrait, client, self._clock())
        return portrait_id

    def find(self, portrait_id: str | None) -> Portrait | None:
        """Return a portrait; None without an id.

        Raises:
          UnknownPortraitError: there is none of that id.
        """
        if portrait_id is None:
            return None
        with self._lock:
            self._forget_old()
            entry = self._entries.get(portrait_id)
            if entry is None:
                raise UnknownPortraitError(
                    "there is no such portrait, or it has expired: upload it again"
                )
            entry.last_use = self._clock()
            return entry.portrait

    def _forget_oldest(self, keys: Iterable[str]) -> None:
        del self._entries[min(keys, key=lambda key: self._entries[key].last_use)]

    def _forget_old(self) -> None:
        oldest = self._clock() - self._expiry
        for key, entry in list(self._entries.items()):
            if entry.last_use < oldest:
                del self._entries[key]
