"""TOML files that state differences from the default options, and the presets among
them."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin
from typing import get_type_hints as type_hints

import msgspec

from train.engine.config import ConfigError

T = TypeVar("T")


def find_config(path: Path) -> Path:
    """Return a TOML file, or else the preset that a path names.

    Presets are the files of `configs/`, which installed packages hold too. Both `NAME`
    and `configs/NAME.toml` name one, from any folder.

    Raises:
      FileNotFoundError: there is neither a file nor a preset.
    """
    if path.is_file():
        return path
    presets = {preset.stem: preset for preset in preset_folder().glob("*.toml")}
    for name, preset in presets.items():
        if path in (Path(name), Path(preset.name), Path("configs", preset.name)):
            return preset
    raise FileNotFoundError(
        f"no configuration at {path}: pass a TOML file or one of {', '.join(sorted(presets))}"
    )


def preset_folder() -> Path:
    """Return the folder of the presets: in an installed package, or of the clone."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def load_config(path: Path, default: T, descendants: tuple[Path, ...] = ()) -> T:
    """Load a TOML file's differences from `default`.

    The file's `base`, another file beside it, is applied first.

    Args:
      path: TOML file.
      default: options that the file does not name.
      descendants: files that led to this one as their base.

    Raises:
      FileNotFoundError: there is no such file.
      ConfigError: the file is not TOML, is its own base, or holds an option that does
        not exist or a value that cannot be used.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no configuration at {path}: pass a TOML file such as configs/mead_lip.toml"
        )
    if path in descendants:
        raise ConfigError(
            f"{path} is its own base: leave out its `base`, or name another file"
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    # The base first: options of this file replace its options.
    base = values.pop("base", None)
    if base is not None:
        if not isinstance(base, str):
            raise ConfigError(f"{path}: base is {base!r}: expected a file's name")
        default = load_config(
            path.parent / Path(base).expanduser(), default, (*descendants, path)
        )
    return apply(default, values, str(path))


def apply(config: T, values: Mapping[str, Any], source: str) -> T:
    """Return `config` with the options that `values` names replaced.

    Args:
      config: a frozen dataclass, which may hold others.
      values: options as TOML has them; a table replaces options of a nested dataclass.
      source: name of the file, for messages.

    Raises:
      ConfigError: an option does not exist, or its value cannot be used.
    """
    # msgspec ignores unknown keys of a dataclass, so the merge refuses them.
    merged = _merge(msgspec.to_builtins(config), values, source)
    try:
        return msgspec.convert(merged, type(config))
    except msgspec.ValidationError as error:
        explanation = explain(error, merged, type(config))
        raise ConfigError(f"{source}: {explanation}") from error


def _merge(
    options: dict[str, Any], values: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """Return `options` with those that `values` names replaced, table by table."""
    merged = dict(options)
    for name, value in values.items():
        if name not in options:
            raise ConfigError(
                f"{source}: no option {name}; the options here are {', '.join(options)}"
            )
        if isinstance(options[name], dict) and isinstance(value, Mapping):
            value = _merge(options[name], value, f"{source} [{name}]")
        merged[name] = value
    return merged


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
