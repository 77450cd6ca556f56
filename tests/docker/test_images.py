"""Docker's files: two images that differ in CUDA only, and their health check."""

import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docker"
HEALTH = runpy.run_path(str(FOLDER / "health.py"))


def lines_of(name: str) -> list[str]:
    """Return the lines of a Dockerfile without its comments."""
    lines = (FOLDER / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_images_differ_in_cuda_only():
    settings = "ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
    with_cuda = lines_of("Dockerfile.cuda")
    assert settings in with_cuda
    with_cuda.remove(settings)
    assert [line.replace("cuda12,", "") for line in with_cuda] == lines_of(
        "Dockerfile.cpu"
    )


class Page(BaseHTTPRequestHandler):
    """Answers /health, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_service_is_healthy_while_it_answers(port):
    answers, address_of = HEALTH["answers"], HEALTH["address_of"]
    page = address_of(["python", "/bin/jaxportrait", "serve", "--port", str(port)])
    assert page == f"http://127.0.0.1:{port}/health"
    assert answers(page)
    assert not answers(page.replace("/health", "/missing"))
    # Port 9 discards, and nothing listens there.
    assert not answers("http://127.0.0.1:9/health")


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("jaxportrait serve", "http://127.0.0.1:8765/health"),
        ("jaxportrait serve --host 0.0.0.0 --port=80", "http://127.0.0.1:80/health"),
        ("jaxportrait web", "http://127.0.0.1:7860/"),
        ("jaxportrait animate -o clip.mp4", None),
    ],
)
def test_the_page_of_a_program_is_that_of_its_command_line(words, address):
    assert HEALTH["address_of"](words.split()) == address


def test_another_program_is_healthy_while_it_runs():
    # The first process of this machine is no server of ours.
    done = subprocess.run([sys.executable, FOLDER / "health.py"])
    assert done.returncode == 0
