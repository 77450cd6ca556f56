"""A parity report: values of ours against golden figures, each within its bound
or not."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Comparison:
    """A value of ours against its golden figure.

    Attributes:
      error: by the report's own measure; nan where the two could not be compared.
      shape: shape of the value; empty for a number.
    """

    name: str
    error: float
    bound: float
    shape: tuple[int, ...] = ()

    @property
    def passed(self) -> bool:
        return self.error <= self.bound  # False for nan


def forgotten(
    names: Iterable[str], comparisons: Sequence[Comparison]
) -> list[Comparison]:
    """Return a failure for each golden figure that nothing was compared with."""
    compared = {row.name for row in comparisons}
    return [
        Comparison(name, float("nan"), 0.0) for name in names if name not in compared
    ]


def conclude(comparisons: Sequence[Comparison], kind: str) -> NoReturn:
    """Print the report of figures of a kind, such as `tensor`, and exit.

    The exit status is 1 if any figure misses its bound.
    """
    console = Console(width=110, highlight=False)
    console.print(_table(comparisons, kind))
    failed = sum(not row.passed for row in comparisons)
    console.print(
        f"{len(comparisons) - failed} {kind}s within their bounds, {failed} not"
    )
    sys.exit(failed > 0)


def _table(comparisons: Sequence[Comparison], kind: str) -> Table:
    """Return a table of one row a comparison, with shapes where there are any."""
    # A report of numbers only needs no such column.
    shaped = any(row.shape for row in comparisons)
    table = Table(kind, *(["shape"] if shaped else []), "error", "bound", "pass")
    for row in comparisons:
        shape = ["x".join(map(str, row.shape))] if shaped else []
        table.add_row(
            row.name,
            *shape,
            f"{row.error:.1e}",
            f"{row.bound:.1e}",
            "yes" if row.passed else "NO",
        )
    return table
