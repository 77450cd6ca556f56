"""`python examples/live_client.py SOUND.wav [VIDEO.mp4] [ADDRESS]`: send a sound to the
live service as a microphone would, and save the talking portrait with its sound.

SOUND is 16 kHz, mono, 16 bits; `-` reads such samples from stdin as they come.
"""

import asyncio
import json
import sys
import wave
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

CHUNK = 640  # samples, 40 ms
ADDRESS = "ws://127.0.0.1:8765/v1/live"


async def send(socket: ClientConnection, sound: str) -> None:
    source = sys.stdin.buffer if sound == "-" else wave.open(sound)  # noqa: SIM115
    read = source.readframes if isinstance(source, wave.Wave_read) else source.read
    size = CHUNK if sound != "-" else 2 * CHUNK  # frames, or bytes
    while chunk := await asyncio.to_thread(read, size):
        await socket.send(chunk)
        # A pipe has a pace of its own.
        await asyncio.sleep(0 if sound == "-" else CHUNK / 16_000)
    await socket.send(json.dumps({"type": "end"}))


async def main(sound: str, video: str = "live.mp4", address: str = ADDRESS) -> None:
    async with connect(address, max_size=None) as socket:
        await socket.send(json.dumps({"type": "start", "frames": "mp4", "idle": False}))
        sender = asyncio.create_task(send(socket, sound))
        fragments = []
        async for message in socket:
            if isinstance(message, bytes):
                fragments.append(message)
            else:
                print(message)
        await sender
        Path(video).write_bytes(b"".join(fragments))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
