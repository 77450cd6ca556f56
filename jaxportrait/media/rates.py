"""Frame rates as exact fractions."""

from fractions import Fraction

TELEVISION_RATES = tuple(
    Fraction(1000 * count, 1001) for count in (24, 30, 48, 60, 120, 240)
)
"""Frames a second of color television by NTSC, and its multiples."""
ROUNDING = 0.005
"""Frames a second; such rates are written with two or three decimals."""


def exact_rate(fps: float | Fraction) -> Fraction:
    """Return a frame rate as a fraction.

    A decimal that stands for a television rate becomes that rate: 29.97 is
    30000/1001. A fraction is exact already.
    """
    if isinstance(fps, Fraction):
        return fps.limit_denominator(1001)
    for rate in TELEVISION_RATES:
        if abs(fps - rate) < ROUNDING:
            return rate
    return Fraction(fps).limit_denominator(1001)
