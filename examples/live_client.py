"""`python examples/live_client.py SOUND.wav [VIDEO.mp4] [ADDRESS]`: send a sound to the
live service as a microphone would, and save the talking portrait with its sound.

SOUND is 16 kHz, mono, 16 bits; `-` reads such samples from stdin as they come.
"""

import asyncio
import json
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

CHUNK = 640  # samples, 40 ms
ADDRESS = "ws://127.0.0.1:8765/v1/live"


def read(sound: str) -> Iterator[bytes]:
    if sound == "-":
        # A pipe has a pace of its own.
        yield from iter(lambda: sys.stdin.buffer.read(2 * CHUNK), b"")
        return
    with wave.open(sound) as file:
        while chunk := file.readframes(CHUNK):
            yield chunk
            time.sleep(CHUNK / file.getframerate())


async def send(socket: ClientConnection, sound: str) -> None:
    chunks = read(sound)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        await socket.send(chunk)
    await socket.send(json.dumps({"type": "end"}))


async def main(sound: str, video: str = "live.mp4", address: str = ADDRESS) -> None:
    async with connect(address, max_size=None) as socket:
        await socket.send(json.dumps({"type": "start", "frames": "mp4", "idle": False}))
        sender = asyncio.create_task(send(socket, sound))
        with Path(video).open("wb") as file:
            async for message in socket:
                # Texts tell the state of the session, bytes are the video.
                if isinstance(message, str):
                    print(message)
                else:
                    file.write(message)
        await sender


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
