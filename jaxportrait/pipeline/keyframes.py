"""Keyframes of edits: a TOML file of numbers at times becomes the edits of a clip."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from jaxtyping import Float, Float32

from jaxportrait.pipeline.edits import Edits, EditTrack
from jaxportrait.ranges import (
    FrameRate,
    OptionError,
    Positive,
    Range,
    check_ranges,
    check_value,
)

TIME = "time"
Seconds = Annotated[float, Range(0)]
MOST_SECONDS = 3600
"""An hour: a longer clip is a slip of the decimal point."""


@dataclass(frozen=True)
class Keyframes:
    """The content of a file of keyframes.

    Attributes:
      keyframes: tables of a time in seconds and of numbers of sliders.
      fps: frames a second.
      seconds: length of the clip; by default it ends with the last keyframe.
      interpolation: "smooth" rests at every keyframe, "linear" changes at one speed
        between two.
    """

    keyframes: list[dict[str, float]] = field(default_factory=list)
    fps: FrameRate = 30.0
    seconds: Positive | None = None
    interpolation: Literal["smooth", "linear"] = "smooth"

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.keyframes:
            raise OptionError("there are no keyframes: write a [[keyframes]] table")
        for index, keyframe in enumerate(self.keyframes):
            _check_keyframe(index, keyframe)
        if self.length > MOST_SECONDS:
            raise OptionError(
                f"the clip lasts {self.length:g} s: end it within {MOST_SECONDS} s"
            )

    @property
    def length(self) -> float:
        """Duration of the clip in seconds."""
        # Keyframes may stand in any order.
        last = max(keyframe[TIME] for keyframe in self.keyframes)
        return last if self.seconds is None else self.seconds

    def track(self) -> EditTrack:
        """Return the numbers of every frame.

        A slider changes between the keyframes that name it. Before the first of them
        and after the last, its number stays.
        """
        # The last keyframe has a frame of its own.
        count = int(np.floor(self.length * self.fps + 1e-6)) + 1
        # Frame i is shown i / fps seconds after the start.
        times = np.arange(count) / self.fps
        names = [item.name for item in fields(Edits)]
        numbers = {}
        for name in names:
            points = {
                frame[TIME]: frame[name] for frame in self.keyframes if name in frame
            }
            # A slider that no keyframe names is left out.
            if points:
                numbers[name] = self._interpolate(points, times)
        return EditTrack(numbers, self.fps, count)

    def _interpolate(
        self, points: dict[float, float], times: Float[np.ndarray, " n"]
    ) -> Float32[np.ndarray, " n"]:
        moments = np.array(sorted(points))
        values = np.array([points[moment] for moment in moments])
        # Keyframes and the share of the way to the next: 1.5 is half-way from 1 to 2.
        position = np.interp(times, moments, np.arange(len(moments)))
        if self.interpolation == "smooth":
            # Smoothstep between two keyframes.
            whole = np.floor(position)
            share = position - whole
            position = whole + share * share * (3 - 2 * share)
        numbers = np.interp(position, np.arange(len(moments)), values)
        return numbers.astype(np.float32)


def read_keyframes(path: str | Path) -> EditTrack:
    """Read the edits of a clip from a TOML file; see docs/editing.md for its form.

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
    return _with_name(path, lambda: decode_keyframes(values).track())


def decode_keyframes(values: dict[str, Any]) -> Keyframes:
    """Return keyframes from the tables of a file.

    Raises:
      OptionError: a table, a name or a number is wrong.
    """
    names = [item.name for item in fields(Keyframes)]
    for name in values:
        if name not in names:
            raise OptionError(f"{name} does not exist: it has {', '.join(names)}")
    try:
        return msgspec.convert(values, Keyframes)
    except msgspec.ValidationError as error:
        # Errors of the dataclass itself come through as causes.
        raise OptionError(str(error.__cause__ or error)) from error


def _with_name(path: Path, read: Callable[[], EditTrack]) -> EditTrack:
    try:
        return read()
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error


def _check_keyframe(index: int, keyframe: dict[str, float]) -> None:
    """Raise an OptionError for a keyframe without a time, or with a number that is not
    one of a slider."""
    place = f"keyframe {index + 1}"
    names = [item.name for item in fields(Edits)]
    for name in keyframe:
        if name not in (TIME, *names):
            raise OptionError(
                f"{place}: there is no slider {name}: choose from {', '.join(names)}"
            )
    if TIME not in keyframe:
        raise OptionError(f"{place} has no time: write time = SECONDS")
    try:
        check_value(TIME, keyframe[TIME], Seconds)
        # The dataclass knows the range of every slider.
        Edits(**{name: number for name, number in keyframe.items() if name != TIME})
    except OptionError as error:
        raise OptionError(f"{place}: {error}") from error
