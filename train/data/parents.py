"""Worker processes that end with the process that started them, however it ends."""

import os
import signal
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread


def end_with_parent(worker: int, workers: int) -> None:
    """Make this worker process end with its parent, and leave signals of the terminal
    to it.

    Args:
      worker: number of the worker.
      workers: number of workers.
    """
    # A terminal interrupts all processes; the parent finishes its update first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = parent_process()
    if parent is not None:
        # The pipe closes when the parent ends, even if it is killed.
        wait([parent.sentinel])
        os._exit(1)
