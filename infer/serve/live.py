"""Live sessions over WebSocket: from the first message of a client to the last line."""

import asyncio
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from infer.serve.avatar import Avatar
from infer.serve.connection import Connection, SessionLimits
from infer.serve.messages import (
    BUSY,
    DONE,
    FAILED,
    INVALID,
    REFUSED,
    RefusalError,
    Start,
    encode,
    read_start,
)
from infer.serve.metrics import Metrics
from infer.serve.pictures import open_stream
from infer.serve.portraits import Portraits, UnknownPortraitError
from infer.serve.security import Token
from infer.serve.slots import Slots, SlotsTakenError

START_SECONDS = 10.0
"""Time for the first message: a connection without one holds no slot, but a socket."""


@dataclass(frozen=True)
class LiveService:
    """The live sessions of a server.

    Attributes:
      avatar: portrait and networks of the sessions.
      portraits: portraits that clients have uploaded.
      limits: limits of every session.
      slots: sessions at once.
      threads: threads in which sessions compute, one a slot.
      token: token that clients need.
      metrics: figures of the server.
    """

    avatar: Avatar
    portraits: Portraits
    limits: SessionLimits
    slots: Slots
    threads: ThreadPoolExecutor
    token: Token
    metrics: Metrics

    async def serve(self, socket: WebSocket) -> None:
        """Serve one connection from its first message to its end."""
        await socket.accept()
        try:
            start = await self._read_start(socket)
            with self.slots.take():
                self.metrics.sessions.inc()
                await self._run(socket, start)
            # The slot is free before the client knows of the end.
            await close(socket, DONE)
        except SlotsTakenError as error:
            self.metrics.refused.inc()
            await refuse(socket, RefusalError(str(error), BUSY))
        except RefusalError as error:
            await refuse(socket, error)
        except WebSocketDisconnect:
            self.metrics.vanished.inc()
        except Exception:
            # A defect of one session ends no other.
            traceback.print_exc()
            line = "the server has failed at this session: its log says why"
            await refuse(socket, RefusalError(line, FAILED))

    async def _read_start(self, socket: WebSocket) -> Start:
        try:
            message = await asyncio.wait_for(socket.receive(), START_SECONDS)
        except TimeoutError:
            raise RefusalError(
                f"no message came in {START_SECONDS:g} s: send the start at once",
                REFUSED,
            ) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        start = read_start(message.get("text"))
        header = socket.headers.get("authorization")
        if not (self.token.admits(header) or self.token.is_equal(start.token)):
            raise RefusalError("the token is missing or wrong", REFUSED)
        return start

    async def _run(self, socket: WebSocket, start: Start) -> None:
        try:
            portrait = self.portraits.find(start.portrait)
        except UnknownPortraitError as error:
            raise RefusalError(str(error), INVALID) from error
        portrait = portrait or self.avatar.portrait
        loop = asyncio.get_running_loop()
        # It may look at the portrait's eyes, which takes longer than others should wait.
        session = await loop.run_in_executor(
            self.threads, self.avatar.start, start.seed, portrait
        )
        stream = open_stream(start.frames, portrait.size, session.fps)
        await socket.send_text(
            encode(
                "ready",
                fps=session.fps,
                width=portrait.size[0],
                height=portrait.size[1],
                latency=self.avatar.latency,
                mime=stream.mime,
            )
        )
        connection = Connection(
            socket,
            session,
            stream,
            limits=self.limits,
            threads=self.threads,
            metrics=self.metrics,
        )
        await connection.run(start.sound, is_idle=start.idle)


async def refuse(socket: WebSocket, error: RefusalError) -> None:
    """Send a line about an error, and close."""
    try:
        await socket.send_text(encode("error", message=str(error)))
    except (WebSocketDisconnect, RuntimeError):
        return
    await close(socket, error.code)


async def close(socket: WebSocket, code: int) -> None:
    """Close a connection; the client may have done so."""
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.close(code)


def live_router(service: LiveService) -> APIRouter:
    """Return the route of live sessions."""
    router = APIRouter()

    @router.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        await service.serve(socket)

    return router
