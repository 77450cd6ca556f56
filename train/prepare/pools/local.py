"""The work on this machine: in this process, or in several."""

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context

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
CHECK_SECONDS = 5.0
"""Seconds after which pools are checked while no clip is ready."""


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
    # all processes load at the same time
    workers = [Worker(recipe) for _ in range(count)]
    pending: dict[Future[Outcome], tuple[Worker, Clip]] = {}

    def begin(worker: Worker) -> None:
        if waiting:
            clip = waiting.popleft()
            tries[clip.name] += 1
            pending[worker.begin(clip)] = worker, clip

    try:
        for worker in workers:
            worker.wait_until_loaded()
        for worker in workers:
            begin(worker)
        while pending:
            finished, unfinished = wait(pending, CHECK_SECONDS, FIRST_COMPLETED)
            lost = {future for future in unfinished if not pending[future][0].is_active}
            for future in finished | lost:
                worker, clip = pending.pop(future)
                outcome = worker.outcome(future, clip)
                # the clip is not to blame
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
        self._pool = ProcessPool(1, context=get_context("spawn"))
        self._has_ended = False
        self._load = self._pool.schedule(_load, args=(self._recipe,))

    @property
    def is_active(self) -> bool:
        """False where the process ended before it began a clip: Pebble gives up such a
        pool, and never finishes a clip that is scheduled at the same moment."""
        return self._pool.active

    def wait_until_loaded(self) -> None:
        """Return once the extractor is loaded; raise an ExtractorError if that fails."""
        try:
            self._load.result()
        except (ProcessExpired, BrokenProcessPool) as error:
            # A process that ends before it begins to load has no known status.
            status = getattr(error, "exitcode", "unknown")
            raise ExtractorError(
                "no clip can be worked on: a worker ended while it loaded "
                f"(exit status {status}); if memory is short, use fewer --workers"
            ) from error

    def begin(self, clip: Clip) -> Future[Outcome]:
        """Begin the work on a clip; a process that has ended is replaced first."""
        arguments = (self._recipe, clip)
        if self._has_ended:
            self._restart()
        try:
            return self._pool.schedule(_extract, args=arguments)
        except RuntimeError:
            # the process was killed since its last clip
            self._restart()
            return self._pool.schedule(_extract, args=arguments)

    def outcome(self, future: Future[Outcome], clip: Clip) -> Outcome | None:
        """Return the outcome of a clip that is finished, or whose pool is not active;
        None if the process ended before it began the clip."""
        try:
            return future.result(timeout=0)
        except ProcessExpired as error:
            self._has_ended = True
            reason = f"its worker was killed (exit status {error.exitcode})"
            return failure(clip, ChildProcessError(reason))
        except (BrokenProcessPool, TimeoutError):
            self._has_ended = True
            return None

    def _restart(self) -> None:
        self.stop()
        self._start()
        self.wait_until_loaded()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._pool.stop()
        self._pool.join()


def _load(recipe: Recipe) -> None:
    # all workers share a GPU's memory
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    _loaded_extractor(recipe)


def _extract(recipe: Recipe, clip: Clip) -> Outcome:
    return _loaded_extractor(recipe).extract(clip)


@cache
def _loaded_extractor(recipe: Recipe) -> ClipExtractor:
    return load_extractor(recipe)
