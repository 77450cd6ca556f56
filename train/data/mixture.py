"""Several data sets as one, each with a share of the windows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from train.data.dataset import Dataset, WindowSplitSize, open_dataset
from train.data.held_out import check_held_out
from train.data.records import ClipRecord
from train.data.shards import SPLITS, DatasetError, Split


@dataclass(frozen=True)
class Mixture(Dataset):
    """Data sets that are mixed window by window.

    The statistics are those of the mixture, by the shares.

    Attributes:
      datasets: the data sets.
      shares: share of each, in any unit.
    """

    datasets: tuple[Dataset, ...] = ()
    shares: tuple[float, ...] = ()

    @property
    def parts(self) -> Sequence[tuple[Dataset, float]]:
        """The data sets, each with its share of the windows."""
        return list(zip(self.datasets, self.shares, strict=True))

    @property
    def identity(self) -> Mapping[str, Any]:
        """Facts that tell this mixture from others; runs store them."""
        parts = [part.identity for part in self.datasets]
        total = sum(self.shares)
        shares = [share / total for share in self.shares]
        return {**super().identity, "parts": parts, "weights": shares}

    def records(self, split: Split) -> "Chained":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the clips of a split, data set by data set."""
        return Chained([part.records(split) for part in self.datasets])


@dataclass(frozen=True)
class Chained(Sequence[ClipRecord]):
    """Clips of several data sets, one after the other."""

    parts: Sequence[Sequence[ClipRecord]]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, number: int) -> ClipRecord:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read a clip."""
        for part in self.parts:
            if number < len(part):
                return part[number]
            number -= len(part)
        raise IndexError(number)


def open_datasets(paths: Sequence[Path], weights: Sequence[float] = ()) -> Dataset:
    """Open one data set, or a mixture of several.

    Args:
      paths: folders of the data sets.
      weights: share of the windows of each; by default they count by their length.

    Raises:
      DatasetError: they can't be mixed, one trains on a clip that another holds out, or
        the weights are not one for each.
    """
    if weights and len(paths) == 1:
        raise DatasetError(
            "there are weights for a single data set, which has all windows anyway: leave them out"
        )
    if weights and len(weights) != len(paths):
        raise DatasetError(
            f"there are {len(paths)} data sets and {len(weights)} weights: name one weight for each"
        )
    datasets = tuple(map(open_dataset, paths))
    # Links may lead to one folder by two names.
    for path in _repeated(paths):
        raise DatasetError(
            f"data set {path} is named twice: name it once, with a larger weight"
        )
    if len(datasets) == 1:
        return datasets[0]
    check_held_out(paths)
    return mix(datasets, tuple(weights))


def mix(datasets: Sequence[Dataset], weights: tuple[float, ...] = ()) -> Mixture:
    """Return a mixture of data sets; see `open_datasets` for the weights.

    Raises:
      DatasetError: their features differ.
    """
    first = datasets[0]
    for other in datasets[1:]:
        _check_agreement(first, other)
    # Without weights, every second counts the same.
    frames = tuple(float(part.sizes["train"].frames) for part in datasets)
    shares = weights or frames
    mean, deviation = _statistics(datasets, np.array(shares))
    return Mixture(
        first.path,
        {split: _total(datasets, split) for split in SPLITS},
        first.feature_width,
        first.audio_encoder,
        first.motion_space,
        mean,
        deviation,
        # Groups are known where all data sets have the same.
        first.landmark_groups if _same_groups(datasets) else {},
        datasets=tuple(datasets),
        shares=shares,
    )


def _repeated(paths: Sequence[Path]) -> Iterator[Path]:
    resolved = [path.resolve() for path in paths]
    for number, path in enumerate(paths):
        if path.resolve() in resolved[:number]:
            yield path


def _same_groups(datasets: Sequence[Dataset]) -> bool:
    first = datasets[0].landmark_groups
    return all(part.landmark_groups == first for part in datasets)


def _check_agreement(first: Dataset, other: Dataset) -> None:
    """Raise a DatasetError unless two data sets can be mixed."""
    names = {
        "audio_encoder": "process both with one checkpoint",
        "feature_width": "process both with one checkpoint",
    }
    for name, advice in names.items():
        one, two = getattr(first, name), getattr(other, name)
        if one != two:
            raise DatasetError(
                f"{first.path} has {name} {one}, and {other.path} {two}: {advice}"
            )


def _total(datasets: Sequence[Dataset], split: Split) -> WindowSplitSize:
    """Return the contents of all data sets, counted."""
    sizes = [part.sizes[split] for part in datasets]

    def add(one: WindowSplitSize, other: WindowSplitSize) -> WindowSplitSize:
        return WindowSplitSize(
            one.shards + other.shards,
            one.clips + other.clips,
            one.frames + other.frames,
            one.windows + other.windows,
        )

    return reduce(add, sizes)


def _statistics(
    datasets: Sequence[Dataset], shares: Float64[np.ndarray, " k"]
) -> tuple[Float64[np.ndarray, "70"], Float64[np.ndarray, "70"]]:
    """Return mean and deviation of the motion of a mixture."""
    portions = shares / shares.sum()
    means = np.stack([part.mean for part in datasets])
    deviations = np.stack([part.deviation for part in datasets])
    # k, k 70 -> 70
    mean = portions @ means
    # Variance within the data sets, and that of their means.
    variance = portions @ (deviations**2 + (means - mean) ** 2)
    return mean, np.sqrt(variance)
