"""Levels of H.264: how much a player must be able to show."""

from fractions import Fraction

BLOCK = 16
"""Side in pixels of a macroblock, the unit of H.264's limits."""
MAX_BLOCKS = 36_864
"""Macroblocks a frame at level 5.2, the highest that many players and the chips of
telephones decode.

Source of the limits: ITU-T H.264, table A-1."""
MAX_RATE = 2_073_600
"""Macroblocks a second at level 5.2."""
MAX_LINE = int((8 * MAX_BLOCKS) ** 0.5)
"""Macroblocks a row or column."""


def passes_level(size: tuple[int, int], fps: float | Fraction) -> bool:
    """Return whether a video needs more than H.264's level 5.2.

    Args:
      size: width and height in pixels.
      fps: frames a second.
    """
    columns, rows = (-(-side // BLOCK) for side in size)
    blocks = columns * rows
    is_long = max(columns, rows) > MAX_LINE
    return is_long or blocks > MAX_BLOCKS or blocks * fps > MAX_RATE


def longest_side(size: tuple[int, int], fps: float | Fraction) -> int:
    """Return the longest side, a multiple of `BLOCK`, to which a video can be reduced so
    that level 5.2 is enough.

    Args:
      size: width and height in pixels of the video that is too large.
      fps: frames a second.
    """
    width, height = size
    longest = max(size)
    for side in range(longest // BLOCK * BLOCK, BLOCK, -BLOCK):
        scale = side / longest
        reduced = (max(1, round(width * scale)), max(1, round(height * scale)))
        if not passes_level(reduced, fps):
            return side
    return BLOCK
