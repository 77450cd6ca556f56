"""Frame rates as people write them."""

from fractions import Fraction

import pytest

from jaxportrait.media.rates import exact_rate


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (29.97, Fraction(30_000, 1001)),
        (29.97003, Fraction(30_000, 1001)),
        (59.94, Fraction(60_000, 1001)),
        (23.976, Fraction(24_000, 1001)),
        (23.98, Fraction(24_000, 1001)),
        (119.88, Fraction(120_000, 1001)),
        (30, Fraction(30)),
        (30.0, Fraction(30)),
        (12.5, Fraction(25, 2)),
        (29.9, Fraction(299, 10)),
        (Fraction(2997, 100), Fraction(2997, 100)),
        (60_000 / 1001, Fraction(60_000, 1001)),
    ],
)
def test_a_rate_is_the_one_that_was_meant(fps, rate):
    assert exact_rate(fps) == rate
    # exact rates stay what they are
    assert exact_rate(exact_rate(fps)) == rate
    assert exact_rate(float(rate)) == exact_rate(fps) or isinstance(fps, Fraction)
