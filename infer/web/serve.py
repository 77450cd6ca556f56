"""The server of the page: opened with all that can fail, then run."""

import socket
from dataclasses import dataclass

from infer.listen import bind
from infer.uploads import Uploads

# Gradio is imported first, since what is missing first is named to the user.
from infer.web.app import make_app
from infer.web.config import Options
from infer.web.desk import Desk
from infer.web.files import Shelf
from infer.web.listen import PageServer, make_server
from infer.web.models import Models
from infer.web.site import Site
from jaxportrait.console.interrupts import end


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
        listener = bind(options.address.host, options.address.port)
        listener.listen()
        app = make_app(site, options.address.names)
    except BaseException:
        site.close()
        raise
    return Server(site, make_server(app), listener)


def open_site(options: Options) -> Site:
    """Return the rooms of a page.

    Raises:
      CheckpointError: a checkpoint cannot be used.
    """
    models = Models.open(options.checkpoint, options.networks())
    # One folder holds uploads, results, and Gradio's copies of examples.
    uploads = Uploads(options.limits.uploads)
    shelf = Shelf(
        uploads,
        seconds=60 * options.limits.keep_minutes,
        megabytes=options.limits.total_megabytes,
    )
    return Site(
        models, uploads, shelf, Desk(models, options.limits.jobs, uploads.folder)
    )
