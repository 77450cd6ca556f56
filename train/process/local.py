"""The work on this machine: in this process, or in several."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context

from train.process.extract import Extractor, Outcome, Settings
from train.process.layouts import Clip

AHEAD = 2
"""Clips handed out a worker, so that none waits and few results lie about."""

_extractor: Extractor | None = None


def extract_locally(settings: Settings, clips: Sequence[Clip], workers: int) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    Raises:
      ChildProcessError: a worker was killed, as by a lack of memory.
    """
    if workers == 1:
        extractor = Extractor(settings)
        yield from ((clip, extractor.extract(clip)) for clip in clips)
        return
    executor = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (settings,))
    try:
        yield from _as_completed(executor, clips, AHEAD * workers)
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"one of {workers} workers was killed, perhaps for lack of memory: run again with fewer --workers to go on"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _as_completed(executor: ProcessPoolExecutor, clips: Sequence[Clip], ahead: int) -> Iterator[tuple[Clip, Outcome]]:
    """Keep `ahead` clips handed out: results of thousands must not pile up."""
    waiting, pending = iter(clips), set[Future]()
    while True:
        pending |= {executor.submit(_extract, clip) for clip in islice(waiting, ahead - len(pending))}
        if not pending:
            return
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


def _start_worker(settings: Settings) -> None:
    """Load the networks once a process; Ctrl-C is the parent's to answer, and all workers share a GPU's memory."""
    global _extractor
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    _extractor = Extractor(settings)


def _extract(clip: Clip) -> tuple[Clip, Outcome]:
    if _extractor is None:
        raise RuntimeError("a worker was given a clip before it had started")
    return clip, _extractor.extract(clip)
