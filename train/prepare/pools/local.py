"""The work on this machine: in this process, or in several."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cache, partial

from train.data.clips import Clip
from train.prepare.recipe import (
    ClipExtractor,
    ExtractorError,
    Outcome,
    Recipe,
    failure,
    load_extractor,
)
from train.workers import map_in_workers


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
        yield from _share_out(recipe, clips, workers)
        return
    extractor = load_extractor(recipe)
    for clip in clips:
        yield clip, extractor.extract(clip)


def _share_out(
    recipe: Recipe, clips: Sequence[Clip], workers: int
) -> Iterator[tuple[Clip, Outcome]]:
    extract = partial(_extract, recipe)
    load = partial(_load, recipe)
    try:
        with closing(map_in_workers(extract, clips, workers, load)) as outcomes:
            for clip, outcome in outcomes:
                if isinstance(outcome, ChildProcessError):
                    yield clip, failure(clip, outcome)
                else:
                    yield clip, outcome
    except ChildProcessError as error:
        raise ExtractorError(f"no clip can be worked on: {error}") from error


def _load(recipe: Recipe) -> None:
    # all workers share a GPU's memory
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    _loaded_extractor(recipe)


def _extract(recipe: Recipe, clip: Clip) -> Outcome:
    return _loaded_extractor(recipe).extract(clip)


@cache
def _loaded_extractor(recipe: Recipe) -> ClipExtractor:
    return load_extractor(recipe)
