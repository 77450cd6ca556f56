"""Connections whose client has vanished are closed, by what TCP knows of it.

WebSocket's own pings would need sound to be read, which waits while a session is
behind; and a slow reader answers them late. The system of a live client acknowledges
what it gets, however slowly the client reads. Where nothing is sent, keepalive asks.
"""

import socket
import struct
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)

VANISHED_SECONDS = 4.0
"""Time after which a client has vanished that acknowledges nothing of what was sent."""
LOOK_SECONDS = 0.25
TCP_INFO = struct.Struct("8B13I")
"""Begin of `tcp_info` of <linux/tcp.h>, up to `tcpi_last_ack_recv`."""
UNACKED = 12
"""Index of `tcpi_unacked`, packets that are not acknowledged. A reader that takes
nothing at the moment has none: nothing is sent to it."""
BUFFER = 2**18
"""Bytes that the system holds in each direction: a second or two of frames, 8 of
sound."""


class WatchedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket of uvicorn that ends when its client has vanished."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self._look()

    def _look(self) -> None:
        if self.transport.is_closing():
            return
        if silent_seconds(self.transport.get_extra_info("socket")) > VANISHED_SECONDS:
            # Without a word: nobody would get it.
            self.transport.abort()
            return
        self.loop.call_later(LOOK_SECONDS, self._look)


def silent_seconds(connection: Any) -> float:
    """Return the seconds since the last acknowledgment of a client that owes one; 0
    where it owes none, or the system does not tell."""
    if not hasattr(socket, "TCP_INFO"):
        return 0.0
    try:
        data = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)
    except OSError:
        return 0.0
    # Other systems have another structure, or a shorter one.
    if len(data) < TCP_INFO.size or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return 0.0
    values = TCP_INFO.unpack(data)
    return values[-1] / 1000 if values[UNACKED] else 0.0


def prepare_listener(listener: socket.socket) -> None:
    """Bound the buffers of connections, and let the system ask silent clients.

    The connections inherit it.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # After a second of silence three questions, a second apart; of Linux.
    options = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}
    for name, value in options.items():
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
