"""Tables of keyframes: a TOML file of numbers at times."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.ops.curves import smoothstep
from jaxportrait.ranges import OptionError, Range, check_ranges, check_value

TIME = "time"
Seconds = Annotated[float, Range(0)]
MOST_SECONDS = 3600
"""An hour: a longer clip is a slip of the decimal point."""

T = TypeVar("T", bound="KeyframeTable")


@dataclass(frozen=True)
class KeyframeTable:
    """The content of a file of keyframes; a kind of it knows the numbers.

    A number changes between the keyframes that name it. Before the first of them and
    after the last, it stays.

    Attributes:
      keyframes: tables of a time in seconds and of numbers by their names.
      interpolation: "smooth" rests at every keyframe, "linear" changes at one speed
        between two.
    """

    noun: ClassVar[str]
    """Word for what has a number, for messages."""

    keyframes: list[dict[str, float]] = field(default_factory=list)
    interpolation: Literal["smooth", "linear"] = "smooth"

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.keyframes:
            raise OptionError("there are no keyframes: write a [[keyframes]] table")
        for index, keyframe in enumerate(self.keyframes):
            self._check_keyframe(f"keyframe {index + 1}", keyframe)
        if self.length > MOST_SECONDS:
            raise OptionError(
                f"the clip lasts {self.length:g} s: end it within {MOST_SECONDS} s"
            )

    @classmethod
    def names(cls) -> list[str]:
        """Return the names that a keyframe may have besides its time."""
        raise NotImplementedError

    @classmethod
    def check_numbers(cls, numbers: dict[str, float]) -> None:
        """Raise an OptionError for a number outside its range."""
        raise NotImplementedError

    @property
    def length(self) -> float:
        """Time of the last keyframe in seconds."""
        # Keyframes may stand in any order.
        return max(keyframe[TIME] for keyframe in self.keyframes)

    def numbers(
        self, times: Float[np.ndarray, " n"]
    ) -> dict[str, Float32[np.ndarray, " n"]]:
        """Return the numbers at these times; those that no keyframe names are left
        out."""
        numbers = {}
        for name in self.names():
            points = {
                frame[TIME]: frame[name] for frame in self.keyframes if name in frame
            }
            # A name without a keyframe has no number at all.
            if points:
                numbers[name] = self._interpolate(points, times)
        return numbers

    def _interpolate(
        self, points: dict[float, float], times: Float[np.ndarray, " n"]
    ) -> Float32[np.ndarray, " n"]:
        moments = np.array(sorted(points))
        values = np.array([points[moment] for moment in moments])
        # Keyframes and the share of the way to the next: 1.5 is half-way from 1 to 2.
        position = np.interp(times, moments, np.arange(len(moments)))
        if self.interpolation == "smooth":
            whole = np.floor(position)
            position = whole + smoothstep(position - whole)
        numbers = np.interp(position, np.arange(len(moments)), values)
        return numbers.astype(np.float32)

    def _check_keyframe(self, place: str, keyframe: dict[str, float]) -> None:
        """Raise an OptionError for a keyframe without a time, or with a number that is
        none of this table's.

        Args:
          place: name of the keyframe, for messages.
        """
        names = self.names()
        for name in keyframe:
            if name not in (TIME, *names):
                raise OptionError(
                    f"{place}: there is no {self.noun} {name}: choose from {', '.join(names)}"
                )
        if TIME not in keyframe:
            raise OptionError(f"{place} has no time: write time = SECONDS")
        numbers = {name: value for name, value in keyframe.items() if name != TIME}
        try:
            check_value(TIME, keyframe[TIME], Seconds)
            self.check_numbers(numbers)
        except OptionError as error:
            raise OptionError(f"{place}: {error}") from error


def read_table(path: str | Path, kind: type[T]) -> T:
    """Read a kind of keyframes from a TOML file.

    Raises:
      OSError: the file cannot be read.
      OptionError: it is no TOML, or a table, a name or a number is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there are no keyframes at {path}: check the name")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error
    return _with_name(path, lambda: _decode(values, kind))


def _decode(values: dict[str, Any], kind: type[T]) -> T:
    """Return keyframes from the tables of a file."""
    names = [item.name for item in fields(kind)]
    # A name that is misspelt would be ignored.
    for name in values:
        if name not in names:
            raise OptionError(f"{name} does not exist: it has {', '.join(names)}")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # Errors of the dataclass itself come through as causes.
        raise OptionError(str(error.__cause__ or error)) from error


def _with_name(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error
