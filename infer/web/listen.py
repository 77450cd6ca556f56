"""The listening end: a socket, and a server that ends by signals in its own way."""

import socket
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


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
      OSError: the address is in use, or not of this machine.
    """
    # Addresses of IPv6 have colons, and others have none.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(
            f"{host}:{port} cannot be listened at ({error.strerror}): choose another --port or --host"
        ) from error
