"""Errors of programs: one line on stderr, and an exit status."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import jax

INVALID = 2
"""Exit status of a request that cannot be fulfilled; also tyro's, for options."""
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
      SystemExit: in place of ValueError, OSError and errors of XLA, with status 2; of
        KeyboardInterrupt, with status 130.
    """
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
    except tuple(exit_statuses) as error:
        if debug:
            raise
        print(f"error: {explain(error)}", file=sys.stderr)
        kinds = [kind for kind in exit_statuses if isinstance(error, kind)]
        # of several that fit, the last is the most special: a program's own
        sys.exit(exit_statuses[kinds[-1]])


def explain(error: Exception) -> str:
    """Return one line for an error."""
    message = str(error)
    is_runtime = isinstance(error, jax.errors.JaxRuntimeError)
    # XLA's own words are a page of allocations, which help no user
    if is_runtime and "RESOURCE_EXHAUSTED" in message:
        return "the device is out of memory: pass a smaller --batch-size, or set JAX_PLATFORMS=cpu"
    return re.sub(r"\s*\n\s*", " ", message).strip()
