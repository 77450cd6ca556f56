"""A parity report: values of ours against golden figures, each within its bound
or not."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from jaxportrait.types import AnyArray

STORED_WHOLE = 4096
"""Values of the largest tensor that golden figures hold whole, unless they say other."""


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


def compare(
    figures: dict[str, np.ndarray], name: str, value: AnyArray, bound: float
) -> Comparison:
    """Compare `value` with the stored sample of a golden tensor, and its mean and
    deviation with the whole one's.

    The error is the largest difference, as a share of the largest golden value.
    """
    value = np.asarray(value, np.float64)
    if value.shape != tuple(figures.get(f"{name}/shape", figures[name].shape)):
        return Comparison(name, float("nan"), bound, value.shape)
    stored = figures[name].ravel()
    # Moments of the whole tensor catch errors outside the stored sample.
    moments = np.array([value.mean(), value.std()])
    moment_error = np.abs(moments - figures.get(f"{name}/mean_std", moments)).max()
    sample = sampled(value, stored.size)
    difference = max(np.abs(sample - stored).max(), moment_error)
    # A table of zeros has no scale of its own.
    scale = np.abs(stored).max() or 1.0
    return Comparison(name, float(difference / scale), bound, value.shape)


def compare_whole(
    name: str, value: AnyArray, figure: np.ndarray, bound: float
) -> Comparison:
    """Compare a value with a figure of which every value is stored; another shape fails,
    whatever its values.

    The error is the largest difference, as a share of the largest golden value.
    """
    error = np.inf
    if value.shape == figure.shape:
        error = float(np.abs(value - figure).max() / np.abs(figure).max())
    return Comparison(name, error, bound, value.shape)


def sampled(value: AnyArray, most: int = STORED_WHOLE) -> Float[np.ndarray, " k"]:
    """Return the values that golden figures hold of a tensor: all, or a sample.

    Args:
      most: values of a sample, and of the largest tensor that is held whole.
    """
    flat = np.asarray(value, np.float64).ravel()
    if flat.size <= most:
        return flat
    generator = np.random.Generator(np.random.PCG64(0))
    return flat[generator.integers(0, flat.size, most)]


def is_figure(name: str) -> bool:
    """Return whether an entry of a file of figures is one, and not its shape or its
    moments."""
    return not name.endswith(("/shape", "/mean_std"))


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
    console = Console(width=110, highlight=False, markup=False)
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


def compare_relative(
    name: str, value: ArrayLike, figure: np.ndarray, bound: float
) -> Comparison:
    """Compare the largest difference of any value, relative to its figure; a figure of
    0 must be met exactly."""
    # In double precision; the smallest number stands in for a scale of 0.
    difference = np.abs(np.asarray(value, np.float64) - figure)
    scale = np.maximum(np.abs(figure), np.finfo(np.float64).tiny)
    relative = np.where(difference == 0, 0.0, difference / scale)
    return Comparison(name, float(relative.max()), bound)
