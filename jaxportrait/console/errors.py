"""Errors of programs: one line on stderr, and an exit status."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from jaxportrait.console.output import printable
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
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 and the number of SIGINT."""
TERMINATED = 143
"""Exit status after SIGTERM: 128 and the signal's number. Schedulers restart on it."""


@contextmanager
def exit_on_error(
    *,
    interrupted: str = "interrupted",
    debug: bool = False,
    statuses: Mapping[type[Exception], int] | None = None,
) -> Iterator[None]:
    """Turn an error that a user can cause into one line and an exit status.

    Args:
      interrupted: line to print after Ctrl-C.
      debug: let errors pass, so that Python shows their traceback.
      statuses: further errors to report in this way, with their exit status.

    Raises:
      SystemExit: in place of ValueError, OSError, errors of XLA and a lack of memory,
        with status 2; of KeyboardInterrupt, with status 130.
    """
    # Imported late, so that a command line is read without it.
    import jax

    exit_statuses = {
        ValueError: INVALID,
        OSError: INVALID,
        jax.errors.JaxRuntimeError: INVALID,
        **(statuses or {}),
    }
    try:
        yield
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        kinds = [kind for kind in exit_statuses if isinstance(error, kind)]
        if debug or not (kinds or is_shortage(error)):
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        # of several that fit, the last is the most special: a program's own
        sys.exit(exit_statuses[kinds[-1]] if kinds else INVALID)


def is_shortage(error: Exception) -> bool:
    """Return whether an error comes of a lack of memory, whichever library raised it."""
    message = str(error)
    return isinstance(error, MemoryError) or any(
        words in message for words in SHORTAGES
    )


def explain(error: Exception) -> str:
    """Return one line for an error."""
    import jax

    # XLA's own words are a page of allocations, which help no user
    if isinstance(error, jax.errors.JaxRuntimeError) and is_shortage(error):
        return "the device is out of memory: pass a smaller --batch-size, or set JAX_PLATFORMS=cpu"
    message = re.sub(r"\s*\n\s*", " ", as_options(str(error))).strip()
    if is_shortage(error):
        reason = message or type(error).__name__
        message = (
            f"memory is short ({reason}): free some, or use a smaller input or batch"
        )
    return printable(message)
