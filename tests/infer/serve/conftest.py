"""The demo as an avatar, and a server of it that all tests of a module share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from websockets.sync.client import ClientConnection, connect

from infer.jobs import JobLimits
from infer.limits import UploadLimits
from infer.origin import LOOPBACK
from infer.serve.app import ServerLimits, create_app
from infer.serve.avatar import Avatar
from infer.serve.connection import SessionLimits
from infer.serve.options import Server
from infer.serve.run import listen, make_server
from jaxportrait import demo
from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.media.image import read_image

SECONDS = 120.0
"""Limit of every wait, so that a defect fails and does not hang."""
LIMITS = ServerLimits(
    SessionLimits(slots=2, ahead=1.0),
    UploadLimits(megabytes=1, seconds=5, pixels=600 * 600),
    JobLimits(waiting=3),
)


@dataclass(frozen=True)
class Service:
    """A server in a thread of this process."""

    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, **options) -> ClientConnection:
        address = f"ws://127.0.0.1:{self.port}/v1/live"
        return connect(address, max_size=None, open_timeout=SECONDS, **options)


@pytest.fixture(scope="session")
def avatar() -> Avatar:
    animator = Animator.from_checkpoint(demo.CHECKPOINT, batch_size=3)
    portrait = animator.prepare(read_image(demo.PORTRAIT, 256))
    avatar = Avatar.open(animator, portrait, Sampling(steps=2))
    avatar.warm_up()
    return avatar


@contextmanager
def serve(avatar: Avatar, **options) -> Iterator[Service]:
    """Serve an avatar in a thread during the block."""
    # Any port that is free.
    listener = listen(Server(port=0))
    app = create_app(avatar, limits=LIMITS, max_size=256, names=LOOPBACK, **options)
    server = make_server(app)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield Service(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        listener.close()


@pytest.fixture(scope="module")
def service(avatar) -> Iterator[Service]:
    with serve(avatar) as running:
        yield running
