"""Worker processes that end with the process that started them, however it ends, and the
reasons for which they end before it."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait
from threading import Thread

from jaxportrait.allocator import keep_freed_memory

SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]
"""Signals by which people and schedulers end a program; Windows has fewer."""
FULL = "the shared memory /dev/shm is full: allow more of it (Docker: --shm-size 2g), or use fewer workers"
REASONS = {
    "-7": FULL,
    "-9": "it was killed, as systems do that run out of memory: use fewer workers",
}
"""Exit code of a worker -> the reason; -7 is SIGBUS."""


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let signals wait in this thread, and in the processes that it starts for ever: a
    worker that still loads would end by them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    # Python unblocks signals when it starts this process, which the first worker needs.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def explain_end(error: RuntimeError) -> str | None:
    """Return why a worker process has ended, in words; None for other errors."""
    # Grain's text has the exit code only.
    ended = re.search(r"terminated unexpectedly with exit code (-?\d+)", str(error))
    if ended is None:
        return None
    code = ended[1]
    reason = REASONS.get(code, f"its exit code is {code}")
    return f"a worker process that reads data has ended: {reason}"


def start_worker(worker: int, workers: int) -> None:
    """Make this worker process end with its parent, leave signals to it, and keep freed
    memory for the next batch.

    Args:
      worker: number of the worker.
      workers: number of workers.
    """
    keep_freed_memory()
    # Terminals and schedulers signal all processes; the parent finishes its update first,
    # which may need a batch.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = parent_process()
    if parent is not None:
        # The pipe closes when the parent ends, even if it is killed.
        wait([parent.sentinel])
        os._exit(1)
