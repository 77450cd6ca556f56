"""Standard streams that are closed or full stop no program."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

from jaxportrait.console.streams import LenientStream, keep_errors_harmless

FULL = Path("/dev/full")
PROGRAM = """
import sys
from jaxportrait.console.streams import keep_errors_harmless

keep_errors_harmless()
print("warning: lost", file=sys.stderr)
sys.stderr.flush()
with open("video.mp4", "w") as video:
    print(video.fileno() > 2)
"""


def in_shell(redirection: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program with its streams as a shell redirects them."""
    command = ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, PROGRAM]
    # The package of this checkout.
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("redirection", ["", "2>&-", "2>/dev/full", "<&- 2>&-"])
def test_a_program_runs_on_without_a_place_for_its_errors(redirection, tmp_path):
    if "full" in redirection and not FULL.exists():
        pytest.skip("this system has no /dev/full")
    done = in_shell(redirection, tmp_path)
    # No file of the program has the number of a standard stream.
    assert done.stdout == "True\n"
    assert done.stderr == ("" if redirection else "warning: lost\n")


def test_text_reaches_a_stream_that_works():
    text = StringIO()
    stream = LenientStream(text)
    assert stream.write("a line\n") == 7
    stream.flush()
    assert text.getvalue() == "a line\n"
    # Everything else is the stream's own.
    assert stream.isatty() is False
    text.close()
    assert stream.write("lost") == 4
    stream.flush()


def test_a_stream_is_wrapped_once(monkeypatch):
    monkeypatch.setattr(sys, "stderr", StringIO())
    keep_errors_harmless()
    stream = sys.stderr
    assert isinstance(stream, LenientStream)
    keep_errors_harmless()
    assert sys.stderr is stream
