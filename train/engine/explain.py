"""Messages on values of a TOML file that cannot be used."""

import re
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin
from typing import get_type_hints as type_hints

import msgspec


def explain(
    error: msgspec.ValidationError, options: dict[str, Any], kind: type[Any]
) -> str:
    """Return msgspec's message with the option, its value and the allowed ones."""
    message, _, place = str(error).removesuffix("`").partition(" - at `$")
    if error.__cause__ is not None:  # a check of __post_init__, which names all of it
        return message
    # A place such as `.guided[0][1]` as keys and indices.
    keys = re.findall(r"\w+", place)
    if message.startswith("Invalid enum value"):
        message = f"expected {', '.join(choices_of(kind, keys))}"
    value: Any = options
    for key in keys:
        value = value[key] if isinstance(value, dict) else value[int(key)]
    return f"{place.lstrip('.')} is {value!r}: {message[0].lower()}{message[1:]}"


def choices_of(kind: Any, keys: Sequence[str]) -> list[str]:
    """Return the values of the `Literal` option that lies at `keys` below `kind`."""
    for key in keys:
        kind = type_hints(kind)[key]
    # An optional choice is a union of its choices and None.
    values = []
    for option in (kind, *get_args(kind)):
        if get_origin(option) is Literal:
            values += map(str, get_args(option))
    return values
