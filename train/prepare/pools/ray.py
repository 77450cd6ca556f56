"""The work on a Ray cluster's CPUs and GPUs; needs the extra `cluster`.

Nodes need the project installed, and the videos and the recipe's files at the same
paths. The results return to the process that asked, which is the only one that writes.
"""

import math
import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxportrait.console.interrupts import end, receive_signals
from train.data.clips import Clip
from train.prepare.recipe import (
    ExtractorError,
    Outcome,
    Recipe,
    failure,
    load_extractor,
)

RESTARTS = 2
SHARED_GPU = {"env_vars": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}}
"""Environment of a worker: JAX would reserve most of a GPU's memory, and leave nothing
to the other workers on it."""


class Remote:
    """An extractor on a node of the cluster; if it cannot be loaded, it answers every
    clip with the reason."""

    def __init__(self, recipe: Recipe):
        try:
            self._extractor = load_extractor(recipe)
        except ExtractorError as error:
            self._extractor = error

    def extract(self, clip: Clip) -> Outcome | ExtractorError:
        """Return the outcome of a clip."""
        if isinstance(self._extractor, ExtractorError):
            return self._extractor
        return self._extractor.extract(clip)


def extract_on_cluster(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    Joins the cluster of RAY_ADDRESS or of this machine, else starts one here. A clip
    that kills its worker is tried again elsewhere, and then left out.

    Raises:
      ExtractorError: a worker cannot load the extractor.
      ValueError: Ray is not installed, or the cluster has fewer CPUs than workers.
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
        # fractions of a GPU are Ray's way to share it
        gpus = gpu_share(ray.cluster_resources(), workers)
        options = {"num_cpus": 1, "num_gpus": gpus, "runtime_env": SHARED_GPU}
        retries = {"max_restarts": -1, "max_task_retries": RESTARTS}
        actor = ray.remote(**retries, **options)(Remote)
        actors = [actor.remote(recipe) for _ in range(workers)]
        with receive_signals(shut_down):
            yield from _as_completed(ray, actors, clips)
    finally:
        if started_here:
            ray.shutdown()


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


def _as_completed(
    ray: Any, actors: list[Any], clips: Sequence[Clip]
) -> Iterator[tuple[Clip, Outcome]]:
    """Assign each actor a clip, and the next one when it is ready, so that a clip that
    kills its actor takes no other with it."""
    waiting = deque(clips)
    free = deque(actors)
    pending: dict[Any, tuple[Any, Clip]] = {}
    while waiting or pending:
        while waiting and free:
            actor = free.popleft()
            clip = waiting.popleft()
            pending[actor.extract.remote(clip)] = actor, clip
        (ready,), _ = ray.wait(list(pending), num_returns=1)
        actor, clip = pending.pop(ready)
        # Ray has restarted an actor that was killed
        free.append(actor)
        yield clip, _outcome(ray, ready, clip)


def _outcome(ray: Any, ready: Any, clip: Clip) -> Outcome:
    try:
        outcome = ray.get(ready)
    except ray.exceptions.RayError:
        # Ray's text has addresses and ids, and the manifest is the same in every run
        reason = f"its worker was killed in each of {1 + RESTARTS} tries"
        return failure(clip, ChildProcessError(reason))
    if isinstance(outcome, ExtractorError):
        raise outcome
    return outcome


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            "--engine ray needs Ray: pip install ray, or use --engine local"
        ) from error
    return ray
