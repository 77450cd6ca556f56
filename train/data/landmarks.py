"""Groups of landmarks: which points of a face are lips, lids or brows.

A data set names its own groups, so that its readers need not know who marked the faces.
Left and right are the picture's.
"""

from collections.abc import Iterable, Mapping

LandmarkGroups = Mapping[str, tuple[int, ...]]
"""Name -> indices of its landmarks."""

MOUTH = ("lips_outer", "lips_inner")
LEFT_EYE = ("eye_left",)
RIGHT_EYE = ("eye_right",)
EYES = (*LEFT_EYE, *RIGHT_EYE, "iris_left", "iris_right")
BROWS = ("brow_left", "brow_right")


def group_points(names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the groups of landmarks, given the name of each point's group."""
    # groups keep the order of their first points
    groups: dict[str, tuple[int, ...]] = {}
    for index, name in enumerate(names):
        groups[name] = (*groups.get(name, ()), index)
    return groups


def points_of(groups: LandmarkGroups, names: Iterable[str]) -> tuple[int, ...]:
    """Return the points of the named groups; unknown groups have none."""
    return tuple(index for name in names for index in groups.get(name, ()))
