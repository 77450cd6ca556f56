"""Worker processes that end with the process that started them, however it ends."""

import os
import signal
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread


def end_with_parent(worker: int, workers: int) -> None:
    """Make this worker process end with its parent, and leave signals to it.

    Args:
      worker: number of the worker.
      workers: number of workers.
    """
    # Terminals and schedulers signal all processes; the parent finishes its update first,
    # which may need a batch.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = parent_process()
    if parent is not None:
        # The pipe closes when the parent ends, even if it is killed.
        wait([parent.sentinel])
        os._exit(1)
