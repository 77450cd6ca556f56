"""Engines that process clips: this machine's processes, or a Ray cluster."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from train.data.clips import Clip
from train.prepare.pools.local import extract_locally
from train.prepare.pools.ray import extract_on_cluster
from train.prepare.recipe import Outcome, Recipe

EngineName = Literal["local", "ray"]
Engine = Callable[[Recipe, Sequence[Clip], int], Iterator[tuple[Clip, Outcome]]]
"""engine(recipe, clips, workers) -> outcomes, in any order."""

# Both run the same extractors; only the place of the workers differs.
ENGINES: dict[EngineName, Engine] = {
    "local": extract_locally,
    "ray": extract_on_cluster,
}
