"""The work on this machine: in this process, or in a pool of processes."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import SpawnContext

from pebble import ProcessExpired, ProcessPool

from train.data.clips import Clip
from train.prepare.recipe import (
    ClipExtractor,
    ExtractorError,
    Outcome,
    Recipe,
    failure,
    load_extractor,
)

QUEUED = 2
"""Clips a worker that the pool holds: one at work, one waiting. Finished records are
not kept in memory."""


def extract_locally(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    A clip whose worker is killed, as by a decoder's fault or a lack of memory, is left
    out, and the worker is replaced.

    Raises:
      ExtractorError: a worker cannot load the extractor.
      ChildProcessError: a worker was killed while none had any work.
    """
    if workers > 1:
        yield from _extract_in_pool(recipe, clips, min(workers, len(clips)))
        return
    extractor = load_extractor(recipe)
    for clip in clips:
        yield clip, extractor.extract(clip)


def _extract_in_pool(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    context = get_context("spawn")
    loads = LoadLog(context)
    pool = ProcessPool(
        workers, initializer=_start_worker, initargs=(loads,), context=context
    )
    waiting = iter(clips)
    pending: dict[Future[Outcome], Clip] = {}

    def schedule() -> None:
        clip = next(waiting, None)
        if clip is not None:
            pending[pool.schedule(_extract, args=(recipe, clip))] = clip

    try:
        for _ in range(QUEUED * workers):
            schedule()
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                clip = pending.pop(future)
                schedule()
                yield clip, _outcome(future, clip, loads)
    except RuntimeError as error:
        # the pool stops if a worker ends while all of them wait
        raise ChildProcessError(
            f"the pool of {workers} workers has stopped ({error}): run the same command again to resume"
        ) from error
    finally:
        pool.stop()
        pool.join()


def _outcome(future: Future[Outcome], clip: Clip, loads: "LoadLog") -> Outcome:
    """Return the outcome of a clip; raise an ExtractorError if it has none because its
    worker could not load the extractor."""
    try:
        return future.result()
    except ProcessExpired as error:
        if not loads.has(error.pid):
            raise ExtractorError(
                f"no clip can be worked on: a worker ended while it loaded (exit status {error.exitcode}); "
                "if memory is short, use fewer --workers"
            ) from error
        reason = f"its worker was killed (exit status {error.exitcode})"
        return failure(clip, ChildProcessError(reason))


class LoadLog:
    """Process ids of the workers that have loaded their extractor.

    The pool reports a worker's end with its id, but not what the worker did: this log
    tells a worker that ended while it loaded from one that a clip killed.
    """

    def __init__(self, context: SpawnContext):
        self._queue = context.SimpleQueue()
        self._loaded: set[int] = set()

    def add(self) -> None:
        """Log the calling process."""
        self._queue.put(os.getpid())

    def has(self, pid: int | None) -> bool:
        """Tell whether a process is in the log."""
        while not self._queue.empty():
            self._loaded.add(self._queue.get())
        return pid in self._loaded


# the log of the pool that this process works for, set when it starts
_loads: LoadLog | None = None


def _start_worker(loads: LoadLog) -> None:
    global _loads
    _loads = loads
    # all workers share a GPU's memory
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"


def _extract(recipe: Recipe, clip: Clip) -> Outcome:
    return _loaded_extractor(recipe).extract(clip)


@cache
def _loaded_extractor(recipe: Recipe) -> ClipExtractor:
    extractor = load_extractor(recipe)
    if _loads is not None:
        _loads.add()
    return extractor
