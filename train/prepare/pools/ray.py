"""The work on a Ray cluster's CPUs and GPUs; needs the extra `cluster`.

Nodes need the project installed, and the videos and the recipe's files at the same
paths. The results return to the process that asked, which is the only one that writes.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from jaxportrait.console.cluster import join_cluster, map_on_cluster
from train.data.clips import Clip
from train.prepare.pools.local import extract_clip, leave_out_lost, load_worker
from train.prepare.recipe import Outcome, Recipe


def extract_on_cluster(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcome of every clip as it is ready, in any order; see
    `map_on_cluster`.

    Raises:
      ExtractorError: a worker cannot load the extractor.
      ValueError: Ray is not installed, or the cluster has fewer CPUs than workers.
    """
    extract = partial(extract_clip, recipe)
    load = partial(load_worker, recipe)
    with join_cluster() as ray:
        outcomes = map_on_cluster(ray, extract, clips, workers, load)
        yield from leave_out_lost(outcomes)
