"""Errors of programs: a line, a status, and a traceback on request."""

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
        (KeyboardInterrupt(), 130, "interrupted: start it again"),
        (LossError("loss is nan"), 1, "error: loss is nan"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_a_status(error, status, line, capsys):
    message = "interrupted: start it again"
    with (
        pytest.raises(SystemExit) as stop,
        exit_on_error(interrupted=message, statuses={LossError: 1}),
    ):
        raise error
    assert stop.value.code == status
    assert capsys.readouterr().err == f"{line}\n"


def test_other_errors_pass():
    with pytest.raises(LossError), exit_on_error():
        raise LossError("loss is nan")
    with pytest.raises(SystemExit, match="143"), exit_on_error():
        raise SystemExit(143)


def test_debugging_keeps_the_traceback_but_not_that_of_an_interrupt(capsys):
    with pytest.raises(ValueError, match="crf"), exit_on_error(debug=True):
        raise ValueError("crf is 99")
    # Python prints the traceback itself.
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit, match="130"), exit_on_error(debug=True):
        raise KeyboardInterrupt
