"""Engines that work on rows: processes of this machine, or a Ray cluster."""

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from infer.batch.plan import Task
from infer.batch.results import Entry
from infer.batch.worker import Place, count_devices, load_worker, work
from infer.config import DeviceOptions
from jaxportrait.console.cluster import join_cluster, map_on_cluster
from jaxportrait.console.workers import map_in_workers

Outcomes = Generator[tuple[Task, Entry | ChildProcessError], None, None]


def work_locally(
    tasks: Sequence[Task], workers: int | None, device: DeviceOptions
) -> Outcomes:
    """Yield the result of every row as it is ready, in any order.

    Every worker is a process with devices of its own: a fault of a decoder or a lack of
    memory ends a row, and none of the others.

    Args:
      workers: number of processes; by default one for every device.

    Raises:
      ValueError: there are fewer devices than a clip asks for, or none of the platform.
      ChildProcessError: a worker was killed while it loaded.
    """
    places = assign_devices(tasks, workers, device)
    loads = [partial(load_worker, device, place) for place in places]
    with closing(map_in_workers(work, tasks, loads)) as outcomes:
        yield from outcomes


def assign_devices(
    tasks: Sequence[Task], workers: int | None, device: DeviceOptions
) -> list[Place | None]:
    """Return the devices of each worker; None for all of them.

    Raises:
      ValueError: see `work_locally`.
    """
    if workers == 1 or len(tasks) == 1:
        return [None]
    # In a process of its own: this one must not reserve the memory of the GPUs.
    ((_, answer),) = map_in_workers(count_devices, [device], [_do_nothing])
    if isinstance(answer, ChildProcessError):
        raise answer
    platform, count = answer
    widths = [task.options.device.devices or 1 for task in tasks]
    width = max(widths)
    if width > count:
        raise ValueError(f"devices is {width}: choose from 1 to {count}")
    # Processes cannot share the chips of a TPU.
    if platform == "tpu":
        return [None]
    workers = min(workers or count // width, len(tasks))
    if workers == 1:
        return [None]
    # More workers than groups of devices share them in turn.
    groups = count // width
    shared = workers > groups
    return [
        Place(number % groups * width, width, shared=shared)
        for number in range(workers)
    ]


def work_on_cluster(
    tasks: Sequence[Task], workers: int | None, device: DeviceOptions
) -> Outcomes:
    """Yield the result of every row as it is ready, in any order.

    Args:
      workers: number of processes; by default one for every GPU of the cluster, or one a
        node where it has none.

    Raises:
      ValueError: Ray is not installed, the cluster has fewer CPUs than workers, or there
        is no device of the platform.
    """
    load = partial(load_worker, device)
    with join_cluster() as ray:
        count = min(workers or default_workers(ray), len(tasks))
        yield from map_on_cluster(ray, work, tasks, count, load)


def default_workers(ray: Any) -> int:
    """Return the number of a cluster's GPUs, or of its nodes if it has none."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    nodes = [node for node in ray.nodes() if node["Alive"]]
    return gpus or len(nodes)


def _do_nothing() -> None:
    """Load nothing."""


ENGINES = {"local": work_locally, "ray": work_on_cluster}
