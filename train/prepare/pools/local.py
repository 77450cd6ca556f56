"""The work on this machine: in this process, or in several."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import cache
from multiprocessing import get_context
from multiprocessing.synchronize import Event

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

MOST_TRIES = 3
"""Tries of a clip whose worker ends before it has begun the clip."""


def extract_locally(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    A clip whose worker is killed, as by a decoder's fault or a lack of memory, is left
    out, and the worker is replaced.

    Raises:
      ExtractorError: a worker cannot load the extractor.
    """
    if workers > 1:
        yield from _share_out(recipe, clips, min(workers, len(clips)))
        return
    extractor = load_extractor(recipe)
    for clip in clips:
        yield clip, extractor.extract(clip)


def _share_out(
    recipe: Recipe, clips: Sequence[Clip], count: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Assign each worker a clip, and the next one when it is ready."""
    waiting = deque(clips)
    tries: Counter[str] = Counter()
    workers = [Worker(recipe) for _ in range(count)]
    pending: dict[Future[Outcome], tuple[Worker, Clip]] = {}

    def begin(worker: Worker) -> None:
        if waiting:
            clip = waiting.popleft()
            tries[clip.name] += 1
            pending[worker.begin(clip)] = worker, clip

    try:
        for worker in workers:
            begin(worker)
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                worker, clip = pending.pop(future)
                outcome = worker.outcome(future, clip)
                if outcome is None and tries[clip.name] < MOST_TRIES:
                    waiting.appendleft(clip)
                begin(worker)
                if outcome is not None:
                    yield clip, outcome
                elif tries[clip.name] == MOST_TRIES:
                    reason = f"its worker was killed in each of {MOST_TRIES} tries"
                    yield clip, failure(clip, ChildProcessError(reason))
    finally:
        for worker in workers:
            worker.stop()


class Worker:
    """A process that works on one clip at a time, and is replaced when it is killed.

    It is a pool of one: processes that share a pool share its locks, and one that is
    killed while it holds a lock would block the others.
    """

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._is_loaded = context.Event()
        self._pool = ProcessPool(
            1, initializer=_start_worker, initargs=(self._is_loaded,), context=context
        )

    def begin(self, clip: Clip) -> Future[Outcome]:
        """Begin the work on a clip."""
        arguments = (self._recipe, clip)
        try:
            return self._pool.schedule(_extract, args=arguments)
        except RuntimeError:
            # the process was killed since its last clip
            self._restart()
            return self._pool.schedule(_extract, args=arguments)

    def outcome(self, future: Future[Outcome], clip: Clip) -> Outcome | None:
        """Return the outcome of a clip; None if the process ended before it began.

        Raises:
          ExtractorError: the process could not load the extractor.
        """
        try:
            return future.result()
        except ProcessExpired as error:
            if not self._is_loaded.is_set():
                raise ExtractorError(
                    "no clip can be worked on: a worker ended while it loaded "
                    f"(exit status {error.exitcode}); if memory is short, use fewer --workers"
                ) from error
            self._restart()
            reason = f"its worker was killed (exit status {error.exitcode})"
            return failure(clip, ChildProcessError(reason))
        except RuntimeError:
            self._restart()
            return None

    def _restart(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._pool.stop()
        self._pool.join()


# set in a worker's process once its extractor is loaded
_is_loaded: Event | None = None


def _start_worker(is_loaded: Event) -> None:
    global _is_loaded
    _is_loaded = is_loaded
    # all workers share a GPU's memory
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"


def _extract(recipe: Recipe, clip: Clip) -> Outcome:
    return _loaded_extractor(recipe).extract(clip)


@cache
def _loaded_extractor(recipe: Recipe) -> ClipExtractor:
    extractor = load_extractor(recipe)
    if _is_loaded is not None:
        _is_loaded.set()
    return extractor
