"""The work on a Ray cluster's CPUs and GPUs; needs the extra `cluster`.

Nodes need the project installed, and the videos and what the recipe names at the same paths; the results come back to
the process that asked, which alone writes.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from train.process.layouts import Clip
from train.process.recipe import Outcome, Recipe, failure

AHEAD = 2
RESTARTS = 2


class Remote:
    """An extractor on a node of the cluster."""

    def __init__(self, recipe: Recipe):
        self._extractor = recipe.extractor()

    def extract(self, clip: Clip) -> Outcome:
        return self._extractor.extract(clip)


def extract_on_cluster(recipe: Recipe, clips: Sequence[Clip], workers: int) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order.

    Joins the cluster of RAY_ADDRESS or of this machine, else starts one here. A clip that kills its worker is tried
    again elsewhere, and then left out.

    Raises:
      ValueError: Ray is not installed.
    """
    ray = _import_ray()
    started_here = not ray.is_initialized()
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level="warning")
    try:
        gpus = min(1.0, ray.cluster_resources().get("GPU", 0.0) / workers)
        actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=-1, max_task_retries=RESTARTS)(Remote)
        yield from _as_completed(ray, [actor.remote(recipe) for _ in range(workers)], clips)
    finally:
        if started_here:
            ray.shutdown()


def _as_completed(ray: Any, actors: list[Any], clips: Sequence[Clip]) -> Iterator[tuple[Clip, Outcome]]:
    """Keep every actor busy with a clip and the next one at hand."""
    waiting, pending = deque(clips), {}
    free = deque(actors * AHEAD)
    while waiting or pending:
        while waiting and free:
            actor, clip = free.popleft(), waiting.popleft()
            pending[actor.extract.remote(clip)] = actor, clip
        (done,), _ = ray.wait(list(pending), num_returns=1)
        actor, clip = pending.pop(done)
        free.append(actor)
        try:
            yield clip, ray.get(done)
        except ray.exceptions.RayError as error:
            yield clip, failure(clip, error)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            "--engine ray needs Ray: pip install 'jaxportrait[cluster]', or take --engine local"
        ) from error
    return ray
