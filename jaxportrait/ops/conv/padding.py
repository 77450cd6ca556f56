"""Zeros around a map, before it is convolved."""

from collections.abc import Sequence

from jaxportrait.types import AnyArray

Padding = Sequence[tuple[int, int]]
"""For each axis, how many zeros stand before and after it."""


def half_padding(kernel: AnyArray) -> Padding:
    """Return the padding by which an odd kernel keeps a map's size.

    Even kernels get none: their taps are patches.

    Args:
      kernel: shape (*taps, i, o).
    """
    taps = kernel.shape[:-2]
    return [(count // 2, count // 2) if count % 2 else (0, 0) for count in taps]
