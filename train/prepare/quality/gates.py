"""Gates: limits of what may be wrong with a clip before it is left out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from jaxportrait.ranges import Range, Share, check_ranges
from train.prepare.manifest import Entry


@dataclass(frozen=True)
class PictureGates:
    """Limits of what may be wrong with a clip's pictures before it is left out.

    Attributes:
      least_visibility: least share of the clip that shows the face.
      least_movement: least mean difference of the face a fifth of a second apart,
        of 255 levels; a still has less.
      most_black: largest share of black pictures.
      most_people: largest share of the looks that find several faces.
      most_stretch: largest ratio of a pixel's sides.
      keep_duplicates: also use clips with the content of another one.
    """

    least_visibility: Share = 0.4
    least_movement: Annotated[float, Range(0)] = 0.15
    most_black: Share = 0.3
    most_people: Share = 0.3
    most_stretch: Annotated[float, Range(1)] = 1.05
    keep_duplicates: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)

    def limits(self) -> list["Limit"]:
        """Return the limits of a manifest's columns, in the order of their checks."""
        return [
            Limit("visibility", least=self.least_visibility),
            Limit("black", most=self.most_black),
            Limit("people", most=self.most_people),
            Limit("stretch", most=self.most_stretch),
            Limit("movement", least=self.least_movement),
        ]


@dataclass(frozen=True)
class MotionGates(PictureGates):
    """Limits of what may be wrong with a clip before it is left out.

    Attributes:
      most_silence: largest share of frames without sound.
    """

    most_silence: Share = 0.4

    def limits(self) -> list["Limit"]:
        silence = Limit("silence", most=self.most_silence)
        return [silence, *super().limits()]


@dataclass(frozen=True)
class Limit:
    """The least or the largest value of a column that passes.

    Attributes:
      column: the manifest's column, or `stretch`, which is made of `aspect`.
      setting: name of the option that sets it, if it is not the side and the column.
    """

    column: str
    least: float | None = None
    most: float | None = None
    setting: str = ""

    def value(self, entry: Entry) -> float | None:
        """Return the value of a clip; None where it was not measured."""
        if self.column != "stretch":
            return getattr(entry, self.column)
        # wide and high pixels are alike
        return None if not entry.aspect else max(entry.aspect, 1 / entry.aspect)

    @property
    def bound(self) -> float:
        bound = self.most if self.least is None else self.least
        assert bound is not None
        return bound

    @property
    def option(self) -> str:
        """Name of the option that sets the bound."""
        if self.setting:
            return f"--{self.setting}"
        side = "most" if self.least is None else "least"
        return f"--{side}-{self.column.replace('_', '-')}"

    def moved(self, bound: float) -> "Limit":
        """Return the limit with another bound."""
        if self.least is None:
            return replace(self, most=bound)
        return replace(self, least=bound)

    def passes(self, entry: Entry) -> bool:
        """Return whether a clip passes; one that was not measured does."""
        value = self.value(entry)
        if value is None:
            return True
        if self.least is not None:
            return value >= self.least
        return value <= self.bound

    def reason(self, entry: Entry) -> str:
        """Return why a clip does not pass."""
        side = "at most" if self.least is None else "at least"
        name = self.column.replace("_", " ")
        return (
            f"{name} {self.value(entry):.3g}, and {side} {self.bound:.3g} passes "
            f"({self.option})"
        )


def apply_gates(
    entries: Sequence[Entry], limits: Sequence[Limit], *, keep_duplicates: bool = False
) -> list[Entry]:
    """Return the entries with the reasons of those that do not pass."""
    judged = [_judge(entry, limits) for entry in entries]
    return judged if keep_duplicates else list(_without_copies(judged))


def _judge(entry: Entry, limits: Sequence[Limit]) -> Entry:
    # an earlier failure stands; its columns may be missing
    if entry.reason:
        return entry
    reasons = [limit.reason(entry) for limit in limits if not limit.passes(entry)]
    return replace(entry, reason="; ".join(reasons))


def _without_copies(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the entries; of those with the same content, the first passes."""
    originals: dict[tuple[str, str], str] = {}
    for entry in entries:
        # pictures with another sound, such as a dubbing, are no copy
        content = entry.pictures, entry.sound
        if entry.reason or not entry.pictures:
            yield entry
            continue
        original = originals.setdefault(content, entry.clip)
        if original == entry.clip:
            yield entry
        else:
            reason = f"the same content as {original} (--keep-duplicates)"
            yield replace(entry, reason=reason)
