"""Evenly spaced positions: a few clips of a split, a few frames of a clip."""


def evenly_spaced(total: int, count: int) -> list[int]:
    """Return `count` indices below `total`, in the middles of as many equal parts.

    All indices are returned if there are fewer than `count`.
    """
    count = min(count, total)
    return [(2 * part + 1) * total // (2 * count) for part in range(count)]
