"""Parallel processes of this machine: a function is mapped over items, and a process
that is killed costs one item at most."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing import get_context, parent_process, resource_tracker
from types import FrameType
from typing import Annotated, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from jaxportrait.ranges import Range
from jaxportrait.whole import abandon_all

Item = TypeVar("Item")
Result = TypeVar("Result")
Workers = Annotated[int, Range(1, 1024)]
"""A number of parallel processes."""
MOST_TRIES = 3
"""Tries of an item whose worker ends before it has begun the item."""
ORPHANED = 1
"""Exit status of a worker without a parent."""
FILTERS = "PYTHONWARNINGS"
CHECK_SECONDS = 5.0
"""Seconds after which pools are checked while no item is ready."""


def map_in_workers(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    loads: Sequence[Callable[[], None]],
) -> Generator[tuple[Item, Result | ChildProcessError], None, None]:
    """Assign each worker an item, and another one when it is ready; see `Shares`.

    Args:
      function: picklable function of an item; an error that it raises is raised here.
      items: picklable items.
      loads: for each worker, a picklable function that it runs before its first item.

    Yields:
      Each item with its result as soon as it is ready, in any order; a
      `ChildProcessError` is the result of an item whose worker was killed.

    Raises:
      ChildProcessError: a worker was killed while it loaded.
    """
    # more workers than items would have nothing to do
    loads = loads[: len(items)]
    tries = [0] * len(items)
    shares = Shares(range(len(items)), len(loads))
    # all processes load at the same time
    workers = [Worker(function, load) for load in loads]
    pending: dict[Future[Result], tuple[int, int]] = {}

    def begin(number: int) -> None:
        index = shares.next_item(number)
        if index is not None:
            tries[index] += 1
            pending[workers[number].begin(items[index])] = number, index

    try:
        for worker in workers:
            worker.wait_until_loaded()
        for number in range(len(workers)):
            begin(number)
        while pending:
            finished, unfinished = wait(pending, CHECK_SECONDS, FIRST_COMPLETED)
            for future in unfinished:
                number, _ = pending[future]
                if not workers[number].is_active:
                    finished.add(future)
            for future in finished:
                number, index = pending.pop(future)
                try:
                    result = workers[number].result(future)
                except NotBegunError:
                    # the item is not to blame
                    if tries[index] < MOST_TRIES:
                        shares.put_back(number, index)
                        begin(number)
                        continue
                    reason = f"its worker was killed in each of {MOST_TRIES} tries"
                    result = ChildProcessError(reason)
                begin(number)
                yield items[index], result
    finally:
        for worker in workers:
            worker.stop()


class Shares(Generic[Item]):
    """Items in the order of the workers that get them.

    Each worker has a share of neighbouring items, so that what it keeps for one serves
    the next. Whoever is done with a share helps with the largest that is left, from its
    end.
    """

    def __init__(self, items: Sequence[Item], workers: int):
        bounds = [len(items) * worker // workers for worker in range(workers + 1)]
        pairs = pairwise(bounds)
        self._shares = [deque(items[first:last]) for first, last in pairs]

    def next_item(self, worker: int) -> Item | None:
        """Return the next item of a worker, by its number; None if there is none."""
        if self._shares[worker]:
            return self._shares[worker].popleft()
        largest = max(self._shares, key=len)
        return largest.pop() if largest else None

    def put_back(self, worker: int, item: Item) -> None:
        """Let an item be the worker's next."""
        self._shares[worker].appendleft(item)


class NotBegunError(Exception):
    """A worker that ended before it began its item."""


class Worker(Generic[Item, Result]):
    """A process that works on one item at a time, and is replaced when it is killed.

    It is a pool of one: processes that share a pool share its locks, and one that is
    killed while it holds a lock would block the others.
    """

    def __init__(self, function: Callable[[Item], Result], load: Callable[[], None]):
        self._function = function
        self._load = load
        self._start()

    def _start(self) -> None:
        start_tracker()
        self._pool = ProcessPool(
            1, initializer=end_with_parent, context=get_context("spawn")
        )
        self._has_ended = False
        # Its process starts here.
        with blocked_interrupts():
            self._loading = self._pool.schedule(self._load)

    @property
    def is_active(self) -> bool:
        """False where the process ended before it began an item: Pebble gives up such a
        pool, and never finishes an item that is scheduled at the same moment."""
        return self._pool.active

    def wait_until_loaded(self) -> None:
        """Return once the worker is loaded.

        Raises:
          ChildProcessError: the process ended first.
        """
        try:
            self._loading.result()
        except (ProcessExpired, BrokenProcessPool) as error:
            # A process that ends before it begins to load has no known status.
            status = getattr(error, "exitcode", "unknown")
            raise ChildProcessError(
                f"a worker ended while it loaded (exit status {status}); "
                "if memory is short, use fewer --workers"
            ) from error

    def begin(self, item: Item) -> Future[Result]:
        """Begin the work on an item; a process that has ended is replaced first."""
        if self._has_ended:
            self._restart()
        try:
            return self._pool.schedule(self._function, args=(item,))
        except RuntimeError:
            # the process was killed since its last item
            self._restart()
            return self._pool.schedule(self._function, args=(item,))

    def result(self, future: Future[Result]) -> Result | ChildProcessError:
        """Return the result of an item that is finished, or whose pool is not active.

        Raises:
          NotBegunError: the process ended before it began the item.
        """
        if not future.done():
            self._has_ended = True
            raise NotBegunError
        try:
            return future.result()
        except ProcessExpired as error:
            self._has_ended = True
            reason = f"its worker was killed (exit status {error.exitcode})"
            return ChildProcessError(reason)
        except BrokenProcessPool as error:
            self._has_ended = True
            raise NotBegunError from error

    def _restart(self) -> None:
        self.stop()
        self._start()
        self.wait_until_loaded()

    def stop(self) -> None:
        """End the process, whatever it does."""
        self._pool.stop()
        self._pool.join()


def end_with_parent() -> None:
    """Let this process end with its parent, however that ends, and when it is stopped.

    It prints nothing then, and leaves nothing that it was writing.
    """
    signal.signal(signal.SIGTERM, _end_by)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _end_by(number: int, frame: FrameType | None) -> None:
    """End by a signal, without what was being written: a pool is stopped by SIGTERM, such
    as after an error of another worker."""
    abandon_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        # The end of a pipe that only the parent holds.
        parent.join()
        abandon_all()
        os._exit(ORPHANED)


@contextmanager
def blocked_interrupts() -> Iterator[None]:
    """Let processes that start in the block pay no heed to Ctrl-C and to the end of the
    terminal, which reach all processes: the parent decides."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_tracker() -> None:
    """Start Python's tracker of semaphores so that it is quiet.

    It outlives a parent that is killed, and would warn that it cleans up.
    """
    filters = os.environ.get(FILTERS)
    os.environ[FILTERS] = ",".join(filter(None, [filters, "ignore:resource_tracker"]))
    try:
        resource_tracker.ensure_running()
    finally:
        del os.environ[FILTERS]
        if filters is not None:
            os.environ[FILTERS] = filters
