"""One live session and its socket: sound in, frames out, silence where no sound comes.

A reader that is slower than its frames stops the session, which stops reading sound:
nothing is dropped, and no queue grows.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from infer.serve.clock import LiveClock
from infer.serve.inbox import Inbox, Sound
from infer.serve.messages import INVALID, REFUSED, RefusalError, encode, read_end
from infer.serve.metrics import Metrics
from infer.serve.pcm import PcmError, PcmReader, SampleFormat
from infer.serve.pictures import PictureStream
from infer.serve.session import Session, TimedFrame
from jaxportrait.ranges import Count, Positive, check_ranges

T = TypeVar("T")

TICK = 0.04
"""Seconds after which a session without sound looks at its clock."""
STALL_SECONDS = 20.0
"""Time for a message to a reader that is slow: 48 KB of buffers, 2.4 KB a second."""


@dataclass(frozen=True)
class SessionLimits:
    """Limits of live sessions.

    Attributes:
      slots: sessions at once; each needs the time of one.
      ahead: seconds of sound that a client may be ahead of its frames.
      session_seconds: longest session.
      quiet_seconds: longest time without sound from the client.
    """

    slots: Count = 2
    ahead: Positive = 4.0
    session_seconds: Positive = 3600.0
    quiet_seconds: Positive = 300.0

    def __post_init__(self) -> None:
        check_ranges(self)


class Connection:
    """One live session and its socket.

    Args:
      socket: accepted, and its first message read.
      session: the session, which only this connection feeds.
      stream: turns its frames into messages.
      limits: limits of the session.
      threads: threads in which it computes.
      metrics: figures of the server.
    """

    def __init__(
        self,
        socket: WebSocket,
        session: Session,
        stream: PictureStream,
        *,
        limits: SessionLimits,
        threads: ThreadPoolExecutor,
        metrics: Metrics,
    ):
        self._socket = socket
        self._session = session
        self._stream = stream
        self._limits = limits
        self._threads = threads
        self._metrics = metrics
        self._inbox = Inbox(limits.ahead)
        self._clock = LiveClock()
        # Samples of the client, without the silence between them.
        self._received = 0
        self._is_gap = True

    async def run(self, sound: SampleFormat, *, is_idle: bool) -> None:
        """Read sound and send frames at once, until either ends.

        Args:
          sound: format of the client's samples.
          is_idle: continue with silence where no sound comes in time.

        Raises:
          WebSocketDisconnect: the client has closed, or vanished.
          RefusalError: a message is wrong, or a limit is reached.
        """
        reader = asyncio.create_task(self._read(PcmReader(sound)))
        sender = asyncio.create_task(self._send(is_idle))
        tasks = {reader, sender}
        try:
            done, _ = await asyncio.wait(
                tasks,
                timeout=self._limits.session_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            # A step that computes ends by itself, and its result is lost.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not done:
            limit = self._limits.session_seconds
            raise RefusalError(f"a session lasts at most {limit:g} s", REFUSED)
        for task in done:
            task.result()

    async def _read(self, pcm: PcmReader) -> None:
        """Move sound from the socket to the inbox, which waits while it is full."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            data = message.get("bytes")
            if data is None:
                read_end(message.get("text"))
                await self._inbox.end()
                continue
            try:
                samples = pcm.read(data)
            except PcmError as error:
                raise RefusalError(str(error), INVALID) from error
            await self._inbox.put(samples)

    async def _send(self, is_idle: bool) -> None:
        """Feed the session and send its frames, until the sound ends."""
        quiet_since = time.monotonic()
        while not self._inbox.is_over:
            # Sound that has come goes before silence, however late it is.
            sound = await self._inbox.take(TICK)
            if sound is not None:
                quiet_since = time.monotonic()
                await self._feed_sound(sound)
            elif not self._inbox.is_over:
                self._check_quiet(quiet_since)
                if is_idle:
                    await self._feed_silence()
        frames = await self._compute(self._session.finish, self._stream.convert)
        await self._send_frames(frames)
        for data in self._stream.finish():
            await self._send_bytes(data)
        await self._socket.send_text(encode("end", frames=self._session.frames))

    async def _feed_sound(self, sound: Sound) -> None:
        if self._is_gap:
            # Silence before it has moved it on the session's clock.
            self._is_gap = False
            place = encode("sound", time=self._session.seconds, sample=self._received)
            await self._socket.send_text(place)
        self._received += len(sound.samples)
        await self._feed(sound.samples, sound.arrival)

    async def _feed_silence(self) -> None:
        missing = self._clock.missing(self._session.samples)
        if missing == 0:
            return
        self._is_gap = True
        await self._feed(np.zeros(missing, np.float32), time.monotonic())

    async def _feed(self, samples: Any, arrival: float) -> None:
        # A frame's fragment has the sound up to its end.
        self._stream.hear(samples)
        frames = await self._compute(self._session.feed, samples, self._stream.convert)
        await self._send_frames(frames, arrival)

    async def _send_frames(
        self, frames: Iterator[TimedFrame[Any]], arrival: float | None = None
    ) -> None:
        packed = pack_frames(self._stream, frames)

        # A frame a call, so that the first ones leave while others are rendered.
        def take() -> list[bytes] | None:
            return next(packed, None)

        while (messages := await self._compute(take)) is not None:
            for data in messages:
                await self._send_bytes(data)
            self._metrics.frames.inc()
            if arrival is not None:
                self._metrics.first_frame.observe(time.monotonic() - arrival)
                arrival = None

    async def _compute(self, function: Callable[..., T], *arguments: Any) -> T:
        # A thread, so that other sessions send and read meanwhile.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)

    async def _send_bytes(self, data: bytes) -> None:
        try:
            await asyncio.wait_for(self._socket.send_bytes(data), STALL_SECONDS)
        except TimeoutError:
            # No line of words would reach it.
            raise WebSocketDisconnect(1006) from None

    def _check_quiet(self, since: float) -> None:
        limit = self._limits.quiet_seconds
        if time.monotonic() - since > limit:
            raise RefusalError(f"no sound has come for {limit:g} s", REFUSED)


def pack_frames(
    stream: PictureStream, frames: Iterator[TimedFrame[Any]]
) -> Iterator[list[bytes]]:
    """Yield the messages of every frame."""
    for frame in frames:
        yield stream.pack(frame)
