"""The work on this machine: in this process, or in several."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache, partial

from jaxportrait.console.workers import map_in_workers
from train.data.clips import Clip
from train.prepare.recipe import (
    ClipExtractor,
    ExtractorError,
    Outcome,
    Recipe,
    failure,
    load_extractor,
)


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
    extract = partial(extract_clip, recipe)
    loads = [partial(load_worker, recipe)] * workers
    try:
        with closing(map_in_workers(extract, clips, loads)) as outcomes:
            yield from leave_out_lost(outcomes)
    except ChildProcessError as error:
        raise ExtractorError(f"no clip can be worked on: {error}") from error


def leave_out_lost(
    outcomes: Iterable[tuple[Clip, Outcome | ChildProcessError]],
) -> Iterator[tuple[Clip, Outcome]]:
    """Yield the outcomes; that of a clip whose worker was killed tells so."""
    for clip, outcome in outcomes:
        if isinstance(outcome, ChildProcessError):
            outcome = failure(clip, outcome)
        yield clip, outcome


def load_worker(recipe: Recipe) -> None:
    """Load the extractor in a process of its own.

    Raises:
      ExtractorError: it cannot be loaded.
    """
    # all workers share a GPU's memory
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    _loaded_extractor(recipe)


def extract_clip(recipe: Recipe, clip: Clip) -> Outcome:
    """Return the outcome of a clip, by the extractor of this process."""
    return _loaded_extractor(recipe).extract(clip)


@cache
def _loaded_extractor(recipe: Recipe) -> ClipExtractor:
    return load_extractor(recipe)
