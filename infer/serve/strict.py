"""Dataclasses from JSON, in which an unknown name is an error."""

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

import msgspec

T = TypeVar("T")


def decode_strictly(text: str, kind: type[T]) -> T:
    """Return a dataclass, with dataclasses in it, from JSON.

    Raises:
      ValueError: it is no JSON, or a name, a type or a range is wrong.
    """
    try:
        values = msgspec.json.decode(text)
        # msgspec ignores unknown names in dataclasses.
        check_names(values, kind, "options")
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # Errors of a dataclass itself come through as causes.
        raise ValueError(str(error.__cause__ or error)) from error
    except RecursionError:
        raise ValueError("the options are nested too deeply: see ClipOptions") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"the options are no JSON: {error}") from error


def check_names(values: Any, kind: type[Any], place: str) -> None:
    """Raise a ValueError for a name that is no field, at any depth."""
    if not isinstance(values, dict):
        return
    types = get_type_hints(kind)
    names = [item.name for item in fields(kind)]
    for name, value in values.items():
        if name not in names:
            raise ValueError(f"{place} have no {name}: choose from {', '.join(names)}")
        if is_dataclass(types[name]):
            check_names(value, types[name], f"{place}.{name}")
