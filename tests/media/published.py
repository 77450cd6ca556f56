"""Small files as published ones, and a server of them."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jaxportrait.media.faces.download import PublishedFile

CONTENT = {"one.tflite": b"first network", "two.tflite": b"second network"}
FILES = tuple(
    PublishedFile(name, 7, hashlib.sha256(data).hexdigest())
    for name, data in CONTENT.items()
)


class Server(ThreadingHTTPServer):
    """A server of files by name, which remembers what was asked for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(CONTENT)
        self.requests: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/assets"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        name = self.path.split("/")[-1].split("?")[0]
        data = self.server.files.get(name)
        self.send_response(404 if data is None else 200)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, *_):
        """Print nothing."""


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server in a thread during the block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
