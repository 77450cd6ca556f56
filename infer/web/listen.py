"""The server of the page, which ends by signals in its own way."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from jaxportrait.console.interrupts import receive_signals

GRACE = 3
"""Seconds that open connections have at the end."""


class PageServer(uvicorn.Server):
    """A server that ends at a signal, and leaves the rest to its caller.

    Attributes:
      signal: number of the signal that ended it; 0 for none.
    """

    signal = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Receive signals while the server runs; uvicorn's own way would end the
        process before its files are deleted."""
        with receive_signals(self._stop):
            yield

    def _stop(self, number: int) -> None:
        # A second signal does not wait for open connections.
        self.force_exit = self.should_exit
        self.should_exit = True
        self.signal = number


def make_server(app: FastAPI) -> PageServer:
    """Return a server of an application."""
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=GRACE, server_header=False
    )
    return PageServer(config)
