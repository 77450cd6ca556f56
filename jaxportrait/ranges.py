"""Ranges of numbers, as annotations of the fields of a dataclass.

One annotation serves the command line, TOML files, the JSON of checkpoints and Python:
the dataclass calls `check_ranges` in its `__post_init__`.
"""

import math
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from numbers import Integral, Real
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    get_args,
    get_origin,
    get_type_hints,
)


@dataclass(frozen=True)
class Range:
    """The values that a finite number may have; None is no bound.

    Attributes:
      least: smallest value.
      most: largest value.
      above: lower bound that is no value itself.
      below: upper bound that is no value itself.
      multiple: number that divides every value.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    multiple: int | None = None

    def holds(self, number: Any) -> bool:
        """Return whether a number is in the range."""
        # Whole numbers are finite, and those beyond a float's range raise an error.
        is_whole = issubclass(type(number), Integral)
        if not (is_whole or math.isfinite(number)):
            return False
        tests = [
            self.least is None or number >= self.least,
            self.most is None or number <= self.most,
            self.above is None or number > self.above,
            self.below is None or number < self.below,
            self.multiple is None or number % self.multiple == 0,
        ]
        return all(tests)

    def __str__(self) -> str:
        words = []
        if self.multiple is not None:
            words.append(f"a multiple of {self.multiple}")
        if self.least is not None and self.most is not None:
            words.append(f"from {self.least} to {self.most}")
        elif self.least is not None:
            words.append(f"{self.least} or more")
        if self.above is not None:
            words.append(f"above {self.above}")
        if self.least is None and self.most is not None:
            words.append(f"at most {self.most}")
        if self.below is not None:
            words.append(f"below {self.below}")
        return " and ".join(words) or "a finite number"


# Sizes of networks: far above every published one, and far below what overflows.
Width = Annotated[int, Range(1, 65_536)]
Blocks = Annotated[int, Range(1, 256)]
Halvings = Annotated[int, Range(1, 12)]
"""Blocks that halve height and width."""
Heads = Annotated[int, Range(1, 1024)]
Taps = Annotated[int, Range(1, 63)]
"""Taps of a kernel along an axis."""
WindowLength = Annotated[int, Range(2, 4096)]
"""Frames or features of a window; windows overlap by a part of it."""
# Plain numbers.
Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Finite = Annotated[float, Range()]
Positive = Annotated[float, Range(above=0)]
Share = Annotated[float, Range(0, 1)]
# Options.
ImageSize = Annotated[int, Range(64, 4096)]
"""Side of a picture in pixels; networks require multiples besides."""
VideoSide = Annotated[int, Range(64, 16_384)]
"""Longest side of a video in pixels; H.264's encoders know no larger one."""
SamplingSteps = Annotated[int, Range(1, 1000)]
BatchSize = Annotated[int, Range(1, 4096)]
Guidance = Annotated[float, Range(-100, 100)]
Strength = Annotated[float, Range(0, 10)]
"""A factor of motion; faces tear long before 10."""
Variance = Annotated[float, Range(0, 1)]
"""Variance of a value of motion; expressions are far smaller than 1."""
TimeConstant = Annotated[float, Range(0, 60)]
"""Seconds; a head that follows by a minute stands still."""
CropScale = Annotated[float, Range(1, 10)]
"""Side of a crop in sides of the face that it holds."""
CropShift = Annotated[float, Range(-1, 1)]
"""Shift of a crop in its sides."""
Rate = Annotated[float, Range(above=0, most=1)]
"""A learning rate."""
FrameRate = Annotated[float, Range(1, 240)]
"""Frames a second: far above the rates of screens and of motion."""
Quality = Annotated[int, Range(0, 51)]
"""Constant rate factor of H.264; 0 is lossless."""
Decay = Annotated[float, Range(0, below=1)]
"""A share that stays at each update."""
Seed = Annotated[int, Range(0, 2**32 - 1)]
"""32 bits, which a key of JAX is made of."""
LongSeed = Annotated[int, Range(0, 2**64 - 1)]


class FieldRange(NamedTuple):
    """The range of a field.

    Attributes:
      allowed: values of each number.
      whole: the numbers are whole.
      optional: the field may be None.
      words: values of the field that are no numbers.
    """

    allowed: Range
    whole: bool
    optional: bool = False
    words: tuple[str, ...] = ()


class OptionError(ValueError):
    """Options that cannot be: outside their ranges, or against each other."""


def check_ranges(config: Any) -> None:
    """Raise an OptionError if a number of a dataclass is outside the range of its field.

    A field may hold one number, a tuple of numbers, or None or words if its type says
    so.
    """
    for name, field_range in field_ranges(type(config)).items():
        value = getattr(config, name)
        if value is None and field_range.optional:
            continue
        for number in _numbers(value):
            _check(name, number, field_range)


def check_choice(name: str, value: str, choices: Any) -> None:
    """Raise an OptionError unless a value is one of those of a `Literal`."""
    if value not in get_args(choices):
        names = ", ".join(get_args(choices))
        raise OptionError(f"{name} is {value!r}: choose one of {names}")


def check_value(name: str, value: Any, kind: Any) -> None:
    """Raise an OptionError if a value is outside the range of an annotated type.

    Args:
      name: name of the value, for messages.
      value: one number, a tuple of numbers, or None.
      kind: a type with a `Range`, such as `BatchSize`.
    """
    field_range = _find_range(kind)
    if field_range is None:
        raise TypeError(f"{kind} has no range")
    if value is None:
        return
    for number in _numbers(value):
        _check(name, number, field_range)


@cache
def field_ranges(kind: type[Any]) -> dict[str, FieldRange]:
    """Return the range of every field of a dataclass that has one."""
    ranges = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        field_range = _find_range(hint)
        if field_range is not None:
            ranges[name] = field_range._replace(
                optional=_is_optional(hint), words=_find_words(hint)
            )
    return ranges


def _is_optional(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _is_optional(get_args(hint)[0])
    return type(None) in get_args(hint)


def _find_words(hint: Any) -> tuple[str, ...]:
    """Return the words within a type, such as those of `Natural | Literal["best"]`."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    words = [_find_words(argument) for argument in get_args(hint)]
    return tuple(chain.from_iterable(words))


def _find_range(hint: Any) -> FieldRange | None:
    """Return the range within a type, such as that of `tuple[Width, ...] | None`."""
    arguments = get_args(hint)
    if get_origin(hint) is Annotated:
        for annotation in arguments[1:]:
            if isinstance(annotation, Range):
                return FieldRange(annotation, arguments[0] is int)
        return _find_range(arguments[0])
    for argument in arguments:
        field_range = _find_range(argument)
        if field_range is not None:
            return field_range
    return None


def _numbers(value: Any) -> Iterator[Any]:
    """Yield the numbers of a field; text is not looked into."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _numbers(item)
    else:
        yield value


def _check(name: str, value: Any, field_range: FieldRange) -> None:
    kind = Integral if field_range.whole else Real
    # For Python, True is a whole number.
    if isinstance(value, str) and value in field_range.words:
        return
    if isinstance(value, bool) or not isinstance(value, kind):
        noun = "whole number" if field_range.whole else "number"
        choices = " or ".join(["a " + noun, *field_range.words])
        raise OptionError(f"{name} is {reprlib.repr(value)}: it must be {choices}")
    if not field_range.allowed.holds(value):
        raise OptionError(f"{name} is {value}: it must be {field_range.allowed}")
