"""Errors of programs: a line, a status, and a traceback on request."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import jax
import pytest

from jaxportrait.console.errors import exit_on_error


class LossError(ArithmeticError):
    """An error of one program only."""


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("crf is 99"), 2, "error: crf is 99"),
        (FileNotFoundError("no picture"), 2, "error: no picture"),
        (ValueError("a shape\n  of two lines\n"), 2, "error: a shape of two lines"),
        (jax.errors.JaxRuntimeError("INTERNAL: odd"), 2, "error: INTERNAL: odd"),
        (
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of\n9 GB"),
            2,
            "error: the device is out of memory: pass a smaller --batch-size, or set JAX_PLATFORMS=cpu",
        ),
        (
            MemoryError("Unable to allocate 9. GiB"),
            2,
            "error: memory is short (Unable to allocate 9. GiB): free some, or use a smaller input or batch",
        ),
        (
            MemoryError(),
            2,
            "error: memory is short (MemoryError): free some, or use a smaller input or batch",
        ),
        (
            RuntimeError("can't start new thread"),
            2,
            "error: memory is short (can't start new thread): free some, or use a smaller input or batch",
        ),
        (
            cv2.error("OpenCV: Insufficient memory\nin alloc"),
            2,
            "error: memory is short (OpenCV: Insufficient memory in alloc): free some, or use a smaller input or batch",
        ),
        (LossError("loss is nan"), 1, "error: loss is nan"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_a_status(error, status, line, capsys):
    with (
        pytest.raises(SystemExit) as stop,
        exit_on_error(statuses={LossError: 1}),
    ):
        raise error
    assert stop.value.code == status
    assert capsys.readouterr().err == f"{line}\n"


def test_other_errors_pass():
    with pytest.raises(LossError), exit_on_error():
        raise LossError("loss is nan")
    with pytest.raises(SystemExit, match="143"), exit_on_error():
        raise SystemExit(143)


def test_debugging_keeps_the_traceback(capsys):
    with pytest.raises(ValueError, match="crf"), exit_on_error(debug=True):
        raise ValueError("crf is 99")
    # Python prints the traceback itself.
    assert capsys.readouterr().err == ""


def run(program: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    """Run a program of a few lines."""
    source = f"import sys, rich.console\nfrom jaxportrait.console.errors import exit_on_error\n{program}"
    return subprocess.run(
        [sys.executable, "-c", source],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        # Where it is set, nothing is held back until the end.
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        check=False,
        **streams,
    )


@pytest.mark.parametrize(
    "line", ["print('a' * 100_000)", "print('a')", "rich.console.Console().print('a')"]
)
def test_a_closed_stdout_ends_the_program_quietly(line):
    reader, writer = os.pipe()
    os.close(reader)
    result = run(f"with exit_on_error():\n    {line}", stdout=writer)
    os.close(writer)
    # Shells show 141.
    assert result.returncode == -signal.SIGPIPE
    assert result.stderr == ""


def test_another_pipe_that_breaks_is_an_error():
    program = """
with exit_on_error():
    raise BrokenPipeError("a worker has gone")
"""
    result = run(program, stdout=subprocess.PIPE)
    assert result.returncode == 2
    assert result.stderr == "error: a worker has gone\n"


def test_a_full_stdout_does_not_undo_a_success():
    with Path("/dev/full").open("w") as full:
        result = run("with exit_on_error():\n    print('a')", stdout=full)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("debug", [False, True])
def test_an_interrupt_from_elsewhere_ends_as_ctrl_c_does(debug):
    program = f"""
with exit_on_error(resume="start it again", debug={debug}):
    raise KeyboardInterrupt
"""
    result = run(program)
    assert result.returncode == -signal.SIGINT
    assert result.stderr == "interrupted: start it again\n"
