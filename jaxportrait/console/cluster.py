"""Parallel processes of a Ray cluster; needs the extra `cluster`.

Nodes need the project installed, and the files that are worked on at the same paths.
"""

import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from jaxportrait.console.interrupts import end, receive_signals
from jaxportrait.console.workers import Shares

Item = TypeVar("Item")
Result = TypeVar("Result")
RESTARTS = 2
SHARED_GPU = {"env_vars": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}}
"""Environment of a worker: JAX would reserve most of a GPU's memory, and leave nothing
to the other workers on it."""


@dataclass(frozen=True)
class Failure:
    """An error of a worker, as a value: Ray would wrap one that is raised."""

    error: Exception


class Remote(Generic[Item, Result]):
    """A process of the cluster that works on one item at a time.

    If it cannot be loaded, it answers every item with the error.
    """

    def __init__(self, function: Callable[[Item], Result], load: Callable[[], None]):
        self._function = function
        self._failure: Failure | None = None
        try:
            load()
        except Exception as error:
            self._failure = Failure(error)

    def work(self, item: Item) -> Result | Failure:
        """Return the result of an item, or the error that it raises."""
        if self._failure is not None:
            return self._failure
        try:
            return self._function(item)
        except Exception as error:
            return Failure(error)


@contextmanager
def join_cluster() -> Iterator[Any]:
    """Yield Ray, with the cluster of RAY_ADDRESS or of this machine; else one is started
    here, and ended with the block.

    Raises:
      ValueError: Ray is not installed.
    """
    ray = _import_ray()
    started_here = not ray.is_initialized()
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="warning")
    # Ray's own would raise wherever the program is; Ray's processes end with this one.
    signal.signal(signal.SIGTERM, handler)

    def shut_down(number: int) -> None:
        # Ray's agents would outlive this process.
        if started_here:
            ray.shutdown()
        end(number, "run the same command again to resume")

    try:
        with receive_signals(shut_down):
            yield ray
    finally:
        if started_here:
            ray.shutdown()


def map_on_cluster(
    ray: Any,
    function: Callable[[Item], Result],
    items: Sequence[Item],
    count: int,
    load: Callable[[], None],
) -> Iterator[tuple[Item, Result | ChildProcessError]]:
    """Assign each worker an item, and another one when it is ready; see `Shares`.

    An item that kills its worker is tried again elsewhere, and then given up.

    Args:
      ray: the module, which has joined a cluster.
      function: picklable function of an item; an error that it raises is raised here.
      items: picklable items.
      count: number of workers.
      load: picklable function that each worker runs once, before its first item.

    Yields:
      Each item with its result as soon as it is ready, in any order; a
      `ChildProcessError` is the result of an item whose worker was killed.

    Raises:
      ValueError: the cluster has fewer CPUs than workers.
    """
    # fractions of a GPU are Ray's way to share it
    gpus = gpu_share(ray.cluster_resources(), count)
    options = {"num_cpus": 1, "num_gpus": gpus, "runtime_env": SHARED_GPU}
    retries = {"max_restarts": -1, "max_task_retries": RESTARTS}
    actor = ray.remote(**retries, **options)(Remote)
    actors = [actor.remote(function, load) for _ in range(count)]
    shares = Shares(items, count)
    pending: dict[Any, tuple[int, Item]] = {}

    def begin(number: int) -> None:
        # An item that kills its actor takes no other with it.
        item = shares.next_item(number)
        if item is not None:
            pending[actors[number].work.remote(item)] = number, item

    for number in range(count):
        begin(number)
    while pending:
        (ready,), _ = ray.wait(list(pending), num_returns=1)
        number, item = pending.pop(ready)
        # Ray has restarted an actor that was killed
        begin(number)
        yield item, _result(ray, ready)


def gpu_share(resources: Mapping[str, float], workers: int) -> float:
    """Return the part of a GPU for each worker, so that all of them fit; 0 without GPUs.

    Args:
      resources: resources of the cluster, by Ray's names.
      workers: number of workers.

    Raises:
      ValueError: there are fewer CPUs than workers; the last would wait for ever.
    """
    cpus = int(resources.get("CPU", 0))
    gpus = int(resources.get("GPU", 0))
    if workers > cpus:
        raise ValueError(
            f"--workers {workers} need a CPU each, and the Ray cluster has {cpus}: use --workers {cpus}"
        )
    return 1 / math.ceil(workers / gpus) if gpus else 0.0


def _result(ray: Any, ready: Any) -> Any:
    try:
        result = ray.get(ready)
    except ray.exceptions.RayError:
        # Ray's text has addresses and ids, and results are the same in every run
        reason = f"its worker was killed in each of {1 + RESTARTS} tries"
        return ChildProcessError(reason)
    if isinstance(result, Failure):
        raise result.error
    return result


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            "--engine ray needs Ray: pip install ray, or use --engine local"
        ) from error
    return ray
