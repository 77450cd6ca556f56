"""A key map: everything that converting one kind of network needs to know."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Columns are in this order in every table.
Row = tuple[str, str, str]
"""A layer: (torch prefix, module path, kind of `layouts.KINDS`). `{i}` stands for a
number."""
Table = tuple[Row, ...]
Shape = tuple[int, ...]

TRAINING_COUNTS = (
    "*.num_batches_tracked",
    "a count of training batches, which no result depends on",
)


class ConversionError(ValueError):
    """A state dict that does not fit its network; the message lists every misfit."""


class TensorShapes:
    """Names and shapes of a state dict; asking for one that is missing says what file
    this is not."""

    def __init__(self, shapes: Mapping[str, Shape], name: str):
        self._shapes = shapes
        self._name = name

    def __getitem__(self, key: str) -> Shape:
        if key not in self._shapes:
            # A few names are enough to recognise a file.
            examples = ", ".join(list(self._shapes)[:3])
            raise ConversionError(
                f"{self._name} has no tensor {key}, so it is another network's file (it has: {examples}, ...)"
            )
        return self._shapes[key]

    def __contains__(self, key: str) -> bool:
        return key in self._shapes

    def count(self, template: str) -> int:
        """Return how many numbers `{i}` stands for in names that begin with `template`."""
        # The number ends at a dot, so that 1 is not counted in 10.
        pattern = re.compile(
            re.escape(template).replace(r"\{i\}", r"(\d+)") + r"(\.|$)"
        )
        matches = [pattern.match(key) for key in self._shapes]
        return len({match[1] for match in matches if match is not None})


def no_tables(config: Any) -> dict[str, np.ndarray]:
    """Return the tables of a network that computes none."""
    return {}


@dataclass(frozen=True)
class KeyMap:
    """The key map of a kind of network.

    Attributes:
      size: (shapes of the tensors, the file's metadata) -> the network's config. A
        shape that disagrees with the config is found afterwards.
      rows: config -> the layers.
      ignored: (pattern, reason) of the tensors that inference and training do not need.
      statistics: leaves that are the mean and the deviation of the motion, and no part
        of the network.
      tables: config -> (pattern -> table) of the tensors that the network computes. A
        file's must be the same.
    """

    size: Callable[[TensorShapes, Mapping[str, Any]], Any]
    rows: Callable[[Any], Table]
    ignored: tuple[tuple[str, str], ...] = ()
    statistics: tuple[str, ...] = ()
    tables: Callable[[Any], Mapping[str, np.ndarray]] = no_tables


def fixed(table: Table) -> Callable[[Any], Table]:
    """Return the rows of a network whose layers have the same names at any size."""
    return lambda config: table
