"""Columns of a row: options of a clip, by the names of the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from infer.config import Options
from jaxportrait.console.options import expand_home, map_paths

OF_THE_BATCH = ("platform", "compilation_cache", "warmup", "debug")
"""Options of a whole process, which no row can have."""
RESULTS = ("output", "template_out")
"""Options that name files to write."""
SEPARATOR = ";"
"""Stands between the files of one cell."""
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

Values = Mapping[str, Any]
"""Name of an option -> its value in a row: a text in CSV."""


@dataclass(frozen=True)
class Column:
    """An option that a row may have.

    Attributes:
      group: field of `Options` that holds it.
      kind: its type.
    """

    group: str
    kind: Any

    @property
    def holds_list(self) -> bool:
        return any(get_origin(kind) is tuple for kind in kinds_of(self.kind))

    def convert(self, name: str, value: Any) -> Any:
        """Return a value of a row as the option's type.

        Raises:
          ValueError: it cannot be.
        """
        if self.holds_list and isinstance(value, str):
            value = [part.strip() for part in value.split(SEPARATOR)]
        try:
            return msgspec.convert(
                value, self.kind, strict=False, dec_hook=_convert_path
            )
        except msgspec.ValidationError:
            raise ValueError(
                f"{name} is {value!r}: it must be {describe(self.kind)}"
            ) from None


@cache
def columns() -> dict[str, Column]:
    """Return every option that a row may have, by its name."""
    options = {}
    groups = get_type_hints(Options)
    for name, group in groups.items():
        # `debug` is in no group.
        if not is_dataclass(group):
            continue
        for option, kind in get_type_hints(group).items():
            if option in field_names(group) and option not in OF_THE_BATCH:
                options[option] = Column(name, kind)
    return options


def field_names(kind: Any) -> set[str]:
    """Return the names of a dataclass's fields."""
    return {field.name for field in fields(kind)}


def check_names(names: list[str], place: str) -> list[str]:
    """Return the names of options, with underscores.

    Args:
      names: names in a file, with hyphens or underscores.
      place: the file, and the line of it.

    Raises:
      ValueError: one is unknown, of the whole batch, or there twice.
    """
    options = [name.strip().removeprefix("--").replace("-", "_") for name in names]
    for name, option in zip(names, options, strict=True):
        if option in OF_THE_BATCH:
            raise ValueError(
                f"{place} has {name!r}, which is an option of the whole batch: pass it on the command line"
            )
        if option not in columns():
            close = get_close_matches(option, columns(), 1)
            hint = f"did you mean {close[0]!r}?" if close else "leave it out"
            raise ValueError(
                f"{place} has {name!r}, which is no option of a clip: {hint}"
            )
        if options.count(option) > 1:
            raise ValueError(f"{place} has {name!r} twice: leave out either")
    return options


def apply(values: Values, base: Options, inputs: Path, results: Path) -> Options:
    """Return the options of a row.

    Args:
      values: options of the row.
      base: options that the row lacks.
      inputs: folder that paths of inputs start from.
      results: folder that paths of results start from.

    Raises:
      ValueError: a value is of another kind, or outside its range.
    """
    changes: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        column = columns()[name]
        value = column.convert(name, value)
        folder = results if name in RESULTS else inputs
        # A path that is absolute stays so.
        value = map_paths(expand_home(value), folder.joinpath)
        changes.setdefault(column.group, {})[name] = value
    groups = {
        group: replace(getattr(base, group), **options)
        for group, options in changes.items()
    }
    return replace(base, **groups)


def kinds_of(kind: Any) -> list[Any]:
    """Return a type, or the types of which it is a union, without None."""
    # `A | B` and `Optional[A]` are of two kinds for Python.
    if get_origin(kind) not in (Union, UnionType):
        return [kind]
    return [option for option in get_args(kind) if option is not type(None)]


def describe(kind: Any) -> str:
    """Return words for the values of a type."""
    words = []
    for option in kinds_of(kind):
        if get_origin(option) is Literal:
            words += [str(choice) for choice in get_args(option)]
        elif get_origin(option) is tuple:
            words.append("a list of paths")
        else:
            words.append(WORDS.get(option, "a path"))
    return " or ".join(words)


def _convert_path(kind: type, value: Any) -> Any:
    # The only type that msgspec does not know.
    # No path holds a null character.
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("no path")
    return Path(value)
