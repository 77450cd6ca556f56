"""Load on a server of its own process: memory, files, and clients that stop reading."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.infer.serve.conftest import SECONDS, Service
from tests.infer.serve.test_live import pcm, receive, start, wait_for_slots
from tests.inputs import babble

pytestmark = pytest.mark.full

REQUESTS = 200
MEGABYTES = 40
"""Growth that is the allocator's, and not that of a leak of requests."""
NETWORK, LINK = "jaxportrait-test", "jptest"

STOPPED_CLIENT = """
import json, sys
from websockets.sync.client import connect
with connect(sys.argv[1]) as socket:
    socket.send(json.dumps({"type": "start"}))
    socket.recv()
    print("started", flush=True)
    while True:
        socket.recv()
"""


@dataclass(frozen=True)
class Process(Service):
    """A server in a process of its own."""

    process: subprocess.Popen

    @property
    def folder(self) -> Path:
        return Path("/proc", str(self.process.pid))

    def megabytes(self) -> float:
        """Return the memory that the process holds."""
        status = (self.folder / "status").read_text()
        (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return int(kilobytes) / 1024

    def files(self) -> int:
        """Return the number of files and sockets that are open."""
        return sum(1 for _ in (self.folder / "fd").iterdir())


@contextmanager
def run_client(address: str, *command: str) -> Iterator[subprocess.Popen]:
    """Run a client that has a session, and end it with the block.

    Args:
      command: runs the client, in another network.
    """
    program = [*command, sys.executable, "-c", STOPPED_CLIENT, address]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        try:
            assert client.stdout.readline() == "started\n"
            yield client
        finally:
            client.kill()


@contextmanager
def run_server(*options: str, **environment: str) -> Iterator[Process]:
    """Run a server of its own process, and end it with the block."""
    arguments = ["--port", "0", "--max-size", "256", "--steps", "2", *options]
    command = [sys.executable, "-m", "infer.serve", *arguments]
    variables = {**os.environ, **environment}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=variables
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            place = re.search(r"http://[\d.]+:(\d+)", line)
            assert place is not None, line
            yield Process(int(place[1]), process)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    # Every network, for the client behind a link.
    with run_server("--host", "0.0.0.0") as running:
        yield running


def make_requests(server: Process, client: httpx.Client, count: int) -> None:
    """Send so many requests of all kinds, of which most are wrong."""
    sound = pcm(babble(0.05))
    for number in range(count):
        kind = number % 4
        if kind == 0:
            assert client.get("/health").status_code == 200
        elif kind == 1:
            files = {"driving": ("a.wav", b"no sound")}
            assert client.post("/v1/jobs", files=files).status_code == 422
        elif kind == 2:
            with server.connect() as socket:
                socket.send("no JSON")
                receive(socket)
        else:
            with server.connect() as socket:
                start(socket, idle=False)
                socket.send(sound)


def test_memory_and_files_stay_flat(server):
    with httpx.Client(base_url=server.address, timeout=SECONDS) as client:
        make_requests(server, client, 40)
        wait_for_slots(server, 0, SECONDS)
        memory = server.megabytes()
        files = server.files()
        make_requests(server, client, REQUESTS)
        wait_for_slots(server, 0, SECONDS)
        print(f"{server.megabytes() - memory:.1f} MB, {server.files() - files} files")
        assert server.megabytes() < memory + MEGABYTES
        assert server.files() <= files + 2


def test_a_slow_reader_does_not_grow_memory(server):
    wait_for_slots(server, 0, SECONDS)
    growth = asyncio.run(read_slowly(server))
    print(f"{growth:.1f} MB")
    assert growth < MEGABYTES
    wait_for_slots(server, 0, 5)


async def read_slowly(server: Process) -> float:
    """Return by how many megabytes a server grows while its frames are read slowly."""
    memory = server.megabytes()
    # More than the buffers of two systems hold: five minutes.
    sound = bytes(2 * 16_000 * 300)
    address = f"ws://127.0.0.1:{server.port}/v1/live"
    async with connect(address, max_size=None, max_queue=2) as socket:
        await socket.send(json.dumps({"type": "start", "idle": False}))
        sender = asyncio.create_task(push(socket, sound))
        # A fifth of the frames' own rate.
        for _ in range(40):
            await asyncio.wait_for(socket.recv(), SECONDS)
            await asyncio.sleep(0.2)
        growth = server.megabytes() - memory
        # The server reads no more sound than it has frames for.
        assert not sender.done()
        sender.cancel()
        socket.transport.abort()
    return growth


async def push(socket: ClientConnection, sound: bytes) -> None:
    """Send a sound as fast as the server reads it."""
    for at in range(0, len(sound), 3200):
        await socket.send(sound[at : at + 3200])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_client_that_is_killed_or_stopped_frees_its_slot(server, number):
    wait_for_slots(server, 0, SECONDS)
    address = f"ws://127.0.0.1:{server.port}/v1/live"
    with run_client(address) as client:
        wait_for_slots(server, 1, SECONDS)
        client.send_signal(number)
        begin = time.monotonic()
        # The system of a stopped client takes frames until its buffers are full.
        wait_for_slots(server, 0, 5 if number == signal.SIGKILL else 60)
        print(f"{signal.Signals(number).name}: {time.monotonic() - begin:.1f} s")


@pytest.fixture
def link() -> Iterator[str]:
    """A client's network of its own, whose link may be cut; the server's address."""
    commands = (
        f"ip netns add {NETWORK}",
        f"ip link add {LINK} type veth peer name {LINK}c netns {NETWORK}",
        f"ip address add 10.213.7.1/30 dev {LINK}",
        f"ip link set {LINK} up",
        f"ip -n {NETWORK} address add 10.213.7.2/30 dev {LINK}c",
        f"ip -n {NETWORK} link set {LINK}c up",
    )
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("only root makes networks, with ip")
    try:
        for command in commands:
            subprocess.run(command.split(), check=True, capture_output=True)
        yield "10.213.7.1"
    except subprocess.CalledProcessError:
        pytest.skip("this machine makes no networks")
    finally:
        for command in (f"ip link del {LINK}", f"ip netns del {NETWORK}"):
            subprocess.run(command.split(), capture_output=True)


def test_a_client_behind_a_dead_link_frees_its_slot(server, link):
    wait_for_slots(server, 0, SECONDS)
    address = f"ws://{link}:{server.port}/v1/live"
    with run_client(address, "ip", "netns", "exec", NETWORK):
        wait_for_slots(server, 1, SECONDS)
        subprocess.run(["ip", "link", "set", LINK, "down"], check=True)
        begin = time.monotonic()
        # No word reaches the server any more.
        wait_for_slots(server, 0, 10)
        seconds = time.monotonic() - begin
    print(f"dead link: {seconds:.1f} s")
    assert seconds < 5


def test_a_stopped_server_says_so_to_its_clients(tmp_path):
    with run_server(TMPDIR=str(tmp_path)) as server:
        # Files of users are there.
        assert len(list(tmp_path.glob("jaxportrait-*"))) == 1
        with server.connect() as socket:
            start(socket)
            server.process.send_signal(signal.SIGINT)
            receive(socket)
            assert socket.close_code == 1012
        assert server.process.wait(SECONDS) == -signal.SIGINT
    assert list(tmp_path.glob("jaxportrait-*")) == []
