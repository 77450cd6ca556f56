"""The work of the live service's program: load, warm up, listen."""

import socket
import sys

import uvicorn
from fastapi import FastAPI

from infer.listen import bind
from infer.serve.app import create_app
from infer.serve.avatar import Avatar
from infer.serve.options import Options, Server
from infer.serve.watch import WatchedWebSocket, prepare_listener
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.image import read_image
from jaxportrait.models.parts import RENDERER

SHUTDOWN_SECONDS = 5


def open_avatar(options: Options) -> Avatar:
    """Load the networks, encode the portrait, and compile what sessions need.

    Raises:
      ValueError, OSError: the options cannot be fulfilled.
    """
    if options.device.warmup:
        raise ValueError(
            "--warmup is for clips, and a server compiles at its start: leave it out"
        )
    if options.detection.face == "all":
        raise ValueError("one face is moved in a session: pass its number as --face")
    # Cheap checks first: networks take seconds to load.
    networks = options.networks()
    checkpoint = open_checkpoint(networks.checkpoint)
    checkpoint.require(RENDERER)
    image = read_image(options.input.source, options.input.max_size)
    animator = networks.load(checkpoint)
    portrait = animator.prepare(
        image, face=options.detection.number, box=options.detection.read_box()
    )
    avatar = Avatar.open(
        animator, portrait, options.sampling, options.composition, options.live
    )
    avatar.warm_up()
    return avatar


def listen(server: Server) -> socket.socket:
    """Return a socket that has the address; it does not listen yet.

    Raises:
      OSError: the address is not this machine's, or the port is taken.
    """
    listener = bind(server.host, server.port)
    prepare_listener(listener)
    return listener


def make_app(avatar: Avatar, options: Options) -> FastAPI:
    """Return the application of these options."""
    return create_app(
        avatar,
        limits=options.limits.limits(),
        source=options.input.source,
        max_size=options.input.max_size,
        token=options.server.read_token(),
        names=options.server.names,
    )


def make_server(app: FastAPI) -> uvicorn.Server:
    """Return the server of an application, which `run` starts on a socket."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        # It has a way of its own to notice vanished clients.
        ws=WatchedWebSocket,
        ws_ping_interval=None,
        ws_max_size=2**20,
        # Frames are compressed, and sound is random.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def print_place(options: Options, listener: socket.socket) -> None:
    """Print where the service is, and what a user should know of it."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"serving on http://{shown}:{port}", file=sys.stderr, flush=True)
    if not options.server.is_local and options.server.read_token() is None:
        print(
            "warning: everybody in this network may use the service: pass --token",
            file=sys.stderr,
        )
