"""The program of the page, as a user starts and ends it."""

import os
import re
import signal
import subprocess
import sys

import httpx
import pytest

from jaxportrait import demo

pytestmark = pytest.mark.full


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_page_and_deletes_all_files(number, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    words = [sys.executable, "-m", "infer.web", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, env=environment) as program:
        assert program.stderr is not None
        # The line comes when the socket listens.
        line = program.stderr.readline().decode()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address is not None, line
        files = {"files": ("a.png", demo.PORTRAIT.read_bytes())}
        answer = httpx.post(f"{address[0]}/gradio_api/upload", files=files)
        assert answer.status_code == 200
        assert list(tmp_path.glob("jaxportrait-*/*.png"))
        program.send_signal(number)
        assert program.wait(30) == -number
    assert not list(tmp_path.glob("jaxportrait-*"))
