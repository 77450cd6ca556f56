"""The work on a Ray cluster's CPUs and GPUs; needs the extra `cluster`.

Nodes need the project installed, and the videos and what the recipe names at the same
paths; the results come back to the process that asked, which alone writes.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
"""Environment of a worker: JAX would take most of a GPU's memory, and leave nothing to
the others on it."""


class Remote:
    """An extractor on a node of the cluster; where it cannot be loaded, its answer to
    every clip is why."""

    def __init__(self, recipe: Recipe):
        try:
            self._extractor = load_extractor(recipe)
        except ExtractorError as error:
            self._extractor = error

    def extract(self, clip: Clip) -> Outcome | ExtractorError:
        return (
            self._extractor
            if isinstance(self._extractor, ExtractorError)
            else self._extractor.extract(clip)
        )


def extract_on_cluster(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    Joins the cluster of RAY_ADDRESS or of this machine, else starts one here. A clip
    that kills its worker is tried again elsewhere, and then left out.

    Raises:
      ExtractorError: a worker cannot be made ready.
      ValueError: Ray is not installed, or the cluster has fewer CPUs than workers.
    """
    ray = _import_ray()
    started_here = not ray.is_initialized()
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="warning")
    try:
        gpus = gpu_share(ray.cluster_resources(), workers)
        options = {"num_cpus": 1, "num_gpus": gpus, "runtime_env": SHARED_GPU}
        actor = ray.remote(max_restarts=-1, max_task_retries=RESTARTS, **options)(
            Remote
        )
        yield from _as_completed(
            ray, [actor.remote(recipe) for _ in range(workers)], clips
        )
    finally:
        if started_here:
            ray.shutdown()


def gpu_share(resources: Mapping[str, float], workers: int) -> float:
    """The part of a GPU that each worker gets, so that all of them fit; 0 where there
    is none.

    Args:
      resources: of the cluster, by Ray's names.

    Raises:
      ValueError: fewer CPUs than workers, of which the last would wait for ever.
    """
    cpus, gpus = (int(resources.get(name, 0)) for name in ("CPU", "GPU"))
    if workers > cpus:
        raise ValueError(
            f"--workers {workers} need a CPU each, and the Ray cluster has {cpus}: take --workers {cpus}"
        )
    return 1 / math.ceil(workers / gpus) if gpus else 0.0


def _as_completed(
    ray: Any, actors: list[Any], clips: Sequence[Clip]
) -> Iterator[tuple[Clip, Outcome]]:
    """Give every actor a clip, and the next one when it is done: one that kills it
    takes no other along."""
    waiting, pending = deque(clips), {}
    free = deque(actors)
    while waiting or pending:
        while waiting and free:
            actor, clip = free.popleft(), waiting.popleft()
            pending[actor.extract.remote(clip)] = actor, clip
        (done,), _ = ray.wait(list(pending), num_returns=1)
        actor, clip = pending.pop(done)
        free.append(actor)
        try:
            outcome = ray.get(done)
        except (
            ray.exceptions.RayError
        ):  # its text has addresses and ids, and the manifest is the same in every run
            outcome = failure(
                clip,
                ChildProcessError(
                    f"its worker was killed in each of {1 + RESTARTS} tries"
                ),
            )
        if isinstance(outcome, ExtractorError):
            raise outcome
        yield clip, outcome


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            "--engine ray needs Ray: pip install ray, or take --engine local"
        ) from error
    return ray
