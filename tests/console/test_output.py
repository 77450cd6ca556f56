"""Output of programs: whatever becomes of it, the work stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxportrait.console.output import print_result, printable

PROGRAM = """
import sys
from jaxportrait.console.output import escape_output, print_result
from jaxportrait.console.streams import keep_errors_harmless
escape_output()
keep_errors_harmless()
print("a note: \\u0142\\udcff", file=sys.stderr, flush=True)
print_result("\\u0142\\udcff.mp4")
"""


def run(stdout, stderr=subprocess.PIPE, **environment) -> "subprocess.CompletedProcess":
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(
        command, stdout=stdout, stderr=stderr, env={**os.environ, **environment}
    )


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("ascii", rb"\u0142\udcff"), ("utf-8", b"\xc5\x82\\udcff")],
)
def test_names_that_an_encoding_lacks_are_escaped(encoding, name):
    done = run(subprocess.PIPE, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout) == (0, name + b".mp4\n")
    assert done.stderr == b"a note: " + name + b"\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_or_a_reader_that_has_gone_is_no_failure():
    pipe = closed_pipe()
    with Path("/dev/full").open("wb") as full:
        assert run(full).returncode == 0
        assert run(subprocess.PIPE, full).stdout.endswith(b".mp4\n")
        assert run(full, full).returncode == 0
        assert run(pipe, pipe).returncode == 0
    os.close(pipe)


def test_closed_streams_are_no_failure():
    command = f'exec "{sys.executable}" -c "$0" >&- 2>&- <&-'
    done = subprocess.run(["bash", "-c", command, PROGRAM])
    assert done.returncode == 0


def test_an_error_that_is_not_the_outputs_is_raised():
    class Broken:
        def write(self, text: str) -> int:
            raise RuntimeError("a defect")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", Broken())
        with pytest.raises(RuntimeError):
            print_result("a.mp4")


def test_what_a_terminal_would_obey_is_escaped():
    assert printable("a\x1b[2Jb\nc") == r"a\x1b[2Jb\nc"
    assert printable("Žofka 肖像.mp4") == "Žofka 肖像.mp4"
