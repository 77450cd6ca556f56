"""The server of the page: opened with all that can fail, then run."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from infer.uploads import Uploads
from infer.web.app import make_app
from infer.web.config import Options
from infer.web.desk import Desk
from infer.web.files import Shelf
from infer.web.models import Models
from infer.web.site import Site
from jaxportrait.console.interrupts import end, receive_signals

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


@dataclass
class Server:
    """A page at an address.

    Attributes:
      site: the rooms of the page.
      server: uvicorn's server.
      listener: the bound socket.
    """

    site: Site
    server: PageServer
    listener: socket.socket

    @property
    def address(self) -> str:
        """The address of the page."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self) -> None:
        """Serve until a signal, then delete all files and end by the signal."""
        try:
            self.server.run(sockets=[self.listener])
        finally:
            self.site.close()
        if self.server.signal:
            end(self.server.signal)


def open_server(options: Options) -> Server:
    """Open the models and the address, and return the server.

    Raises:
      CheckpointError: a checkpoint cannot be used.
      ValueError, OSError: the address or an option is not usable.
    """
    site = open_site(options)
    # A failure must not leave threads and the folder.
    try:
        listener = listen(options.address.host, options.address.port)
        app = make_app(site)
    except BaseException:
        site.close()
        raise
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=GRACE, server_header=False
    )
    return Server(site, PageServer(config), listener)


def open_site(options: Options) -> Site:
    """Return the rooms of a page.

    Raises:
      CheckpointError: a checkpoint cannot be used.
    """
    models = Models.open(options.checkpoint, options.networks())
    # One folder holds uploads, results, and Gradio's copies of examples.
    uploads = Uploads(options.limits.uploads)
    shelf = Shelf(uploads, 60 * options.limits.keep_minutes)
    return Site(models, uploads, shelf, Desk(models, options.limits.jobs))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
      OSError: the address is in use, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise OSError(
            f"{host}:{port} cannot be listened at ({error.strerror}): choose another --port or --host"
        ) from error
