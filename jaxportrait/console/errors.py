"""Errors of programs: one line on stderr, and an exit status."""

import os
import re
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jaxportrait.console.interrupts import (
    end,
    end_by,
    receive_signals,
    wait_if_ending,
)
from jaxportrait.console.output import discard_stdout, printable
from jaxportrait.console.words import as_options

INVALID = 2
"""Exit status of a request that cannot be fulfilled; also tyro's, for options."""
SHORTAGES = (
    "RESOURCE_EXHAUSTED",
    "Cannot allocate memory",
    "Insufficient memory",
    "bad_alloc",
    "can't allocate memory",
    "can't start new thread",
)
"""Words by which JAX, the system, OpenCV, C++, torch and Python report a lack of memory
or of address space."""


@contextmanager
def exit_on_error(
    *,
    resume: str = "",
    debug: bool = False,
    statuses: Mapping[type[Exception], int] | None = None,
) -> Iterator[None]:
    """Turn an error that a user can cause into one line and an exit status.

    A signal ends the program by that signal, and a closed stdout by SIGPIPE; see
    `jaxportrait.console.interrupts` for details.

    Args:
      resume: end of the line to print after a signal: how to continue.
      debug: let errors pass, so that Python shows their traceback.
      statuses: further errors to report in this way, with their exit status.

    Raises:
      SystemExit: in place of ValueError, OSError, errors of XLA and a lack of memory,
        with status 2.
    """
    exit_statuses = {ValueError: INVALID, OSError: INVALID, **(statuses or {})}
    with receive_signals(lambda number: end(number, resume)):
        try:
            yield
            flush_stdout()
        except BaseException as error:
            wait_if_ending()
            if is_stdout_closed(error):
                end_by(signal.SIGPIPE)
            if isinstance(error, KeyboardInterrupt):
                end(signal.SIGINT, resume)
            # Of several that fit, the last is the most special: a program's own.
            kinds = [kind for kind in exit_statuses if isinstance(error, kind)]
            if debug or not (kinds or is_shortage(error) or is_of_xla(error)):
                raise
            print(f"error: {explain(error)}", file=sys.stderr)
            sys.exit(exit_statuses[kinds[-1]] if kinds else INVALID)
        wait_if_ending()


def flush_stdout() -> None:
    """Write what Python still holds back, while errors can be reported.

    A full device is no error: the result of the program stands.
    """
    # Python has no stdout if it was closed at the start.
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        discard_stdout()


def is_stdout_closed(error: BaseException) -> bool:
    """Return whether an error tells that nobody reads stdout any more."""
    # Rich raises a SystemExit, after it has replaced stdout.
    if isinstance(error, SystemExit):
        return isinstance(error.__context__, BrokenPipeError)
    if not isinstance(error, BrokenPipeError) or os.name != "posix":
        return False
    if sys.stdout is None:
        return False
    # Pipes of workers break as well.
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def is_of_xla(error: BaseException) -> bool:
    """Return whether XLA raised an error; JAX is not imported for that."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(error, jax.errors.JaxRuntimeError)


def is_shortage(error: BaseException) -> bool:
    """Return whether an error comes of a lack of memory, whichever library raised it."""
    message = str(error)
    return isinstance(error, MemoryError) or any(
        words in message for words in SHORTAGES
    )


def explain(error: BaseException) -> str:
    """Return one line for an error."""
    # XLA's own words are a page of allocations, which help no user
    if is_of_xla(error) and is_shortage(error):
        return "the device is out of memory: pass a smaller --batch-size, or set JAX_PLATFORMS=cpu"
    message = re.sub(r"\s*\n\s*", " ", as_options(str(error))).strip()
    if is_shortage(error):
        reason = message or type(error).__name__
        message = (
            f"memory is short ({reason}): free some, or use a smaller input or batch"
        )
    return printable(message)
