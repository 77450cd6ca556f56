"""Ranges of numbers: checked whatever made the dataclass."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
import pytest
import tyro

from jaxportrait.ranges import (
    BatchSize,
    Count,
    Decay,
    Finite,
    ImageSize,
    Positive,
    Range,
    Rate,
    Seed,
    Width,
    check_ranges,
)


@dataclass(frozen=True)
class Sizes:
    """Fields of every kind."""

    batch: BatchSize = 1
    widths: tuple[Width, ...] = (8, 16)
    pairs: tuple[tuple[Count, Count], ...] = ()
    rate: Rate | None = None
    noted: Annotated[Rate | None, "a note"] = None
    decay: Decay = 0.5
    scale: Finite = -1.0
    zoom: Annotated[Positive, "a note"] = 1.0
    side: ImageSize = 64
    seed: Seed = 0
    even: Annotated[int, Range(2, 8, multiple=2)] = 2
    # Without a range.
    name: Literal["a", "b"] = "a"
    flag: bool = True

    def __post_init__(self) -> None:
        check_ranges(self)


ALLOWED = {
    "batch": [1, 4096, np.int64(3)],
    "widths": [(), (1, 65_536), [3]],
    "pairs": [((1, 2), (3, 4))],
    "rate": [None, 1, 1e-300],
    "decay": [0, 0.999],
    "scale": [1e300, -3, np.float32(2)],
    "seed": [2**32 - 1],
    "even": [4],
}
REFUSED = {
    "batch": [None, 0, 10**19, 2.0, "7", True, np.nan, 10**400],
    "widths": [(3, 0), (3, "4"), (None,), 65_537],
    "pairs": [((1, 2), (3, 0))],
    "rate": [0, 1.1, -1.0, math.nan],
    "decay": [1, -0.1],
    "scale": [math.nan, math.inf, -math.inf, "1"],
    "zoom": [0, -1.0, math.nan],
    "side": [63, 4097, 10**30],
    "seed": [-1, 2**32],
    "even": [3, 0, 10],
}


def cases(values: dict) -> list[tuple]:
    return [(name, value) for name, row in values.items() for value in row]


@pytest.mark.parametrize(("name", "value"), cases(ALLOWED))
def test_values_in_the_range_are_taken(name, value):
    assert getattr(Sizes(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), cases(REFUSED))
def test_values_outside_the_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} is .*: it must be"):
        Sizes(**{name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch is 0: it must be from 1 to 4096"),
        ({"pairs": ((0, 1),)}, "pairs is 0: it must be 1 or more"),
        ({"rate": 2.0}, "rate is 2.0: it must be above 0 and at most 1"),
        ({"decay": 1.0}, "decay is 1.0: it must be 0 or more and below 1"),
        ({"scale": math.inf}, "scale is inf: it must be a finite number"),
        ({"even": 3}, "even is 3: it must be a multiple of 2 and from 2 to 8"),
        ({"even": "3"}, "even is '3': it must be a whole number"),
        ({"zoom": "x"}, "zoom is 'x': it must be a number"),
    ],
)
def test_the_message_has_the_value_and_the_range(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Sizes(**change)


def test_json_and_the_command_line_check_the_same(capsys):
    with pytest.raises(msgspec.ValidationError, match="batch is 0: it must be from 1"):
        msgspec.convert({"batch": 0}, Sizes)
    with pytest.raises(SystemExit) as caught:
        tyro.cli(Sizes, args=["--batch", "0"])
    assert caught.value.code == 2
    assert "batch is 0: it must be from 1 to 4096" in capsys.readouterr().err
    assert tyro.cli(Sizes, args=["--widths", "3", "4"]).widths == (3, 4)
