"""Memory that a program needs to start at all."""

import sys

GIB = 2**30
LEAST_ADDRESS_SPACE = 1.25 * GIB
"""Bytes of address space. With less, XLA cannot start its threads and aborts the process
with a trace of C++ (measured: it aborts at 0.95 GiB, and not at 1.4)."""


def find_shortage() -> str | None:
    """Return a line that says what is missing, if this process may have too little
    address space for JAX."""
    # Windows has no such limits.
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or limit >= LEAST_ADDRESS_SPACE:
        return None
    return (
        f"memory is short: address space is limited to {limit / GIB:.2f} GiB (`ulimit -v`), and JAX needs "
        f"{LEAST_ADDRESS_SPACE / GIB:.2f}: raise the limit"
    )
