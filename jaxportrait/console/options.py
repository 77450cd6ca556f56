"""Command lines: a dataclass of options becomes a parser with a grouped help page."""

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import fields, is_dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import tyro

from jaxportrait.console.errors import INVALID
from jaxportrait.console.memory import find_shortage
from jaxportrait.console.origin import print_others
from jaxportrait.console.output import escape_output
from jaxportrait.console.streams import keep_errors_harmless
from jaxportrait.ranges import OptionError

T = TypeVar("T")

COMMAND = "jaxportrait"


def parse_options(
    options_type: type[T],
    program: str,
    *,
    summary: str,
    example: str,
    arguments: Sequence[str] | None = None,
    default: Any = None,
) -> T:
    """Parse a command line; tyro prints what is wrong with it, and the help page.

    Args:
      options_type: a dataclass; a nested dataclass is a group of the help page.
      program: module that `python -m` runs.
      summary: purpose of the program, for the help page.
      example: options of a typical command.
      arguments: words of the command line; by default those of this process.
      default: options that the command line starts from.

    Raises:
      SystemExit: the words are no valid options, with status 2, or ask for help.
    """
    begin_program()
    name = command_name(program)
    if not name.startswith(f"{COMMAND} "):
        print_others()
    complaint = StringIO()
    try:
        with redirect_stderr(complaint):
            options = tyro.cli(
                options_type,
                prog=name,
                # The example stands above the options, where it is seen first.
                description=f"{summary}\n\nExample:\n  {name} {example}",
                args=arguments,
                default=default,
            )
    except (SystemExit, OptionError) as stop:
        error = find_option_error(stop)
        words = complaint.getvalue() if error is None else f"error: {error}\n"
        print(words, end="", file=sys.stderr)
        if isinstance(stop, SystemExit):
            raise
        sys.exit(INVALID)
    return expand_home(options)


def expand_home(value: T) -> T:
    """Replace a leading `~` of every path in options by the user's home folder.

    Shells do so only at the start of a word: not in `--output=~/clips`, nor in a file.
    """
    return map_paths(value, expand_path)


def map_paths(value: T, change: Callable[[Path], Path]) -> T:
    """Change every path in options, which may be in tuples and nested dataclasses."""
    changed: Any = value
    if isinstance(value, Path):
        changed = change(value)
    elif isinstance(value, tuple):
        changed = tuple(map_paths(item, change) for item in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = _map_fields(value, change)
    return changed


def _map_fields(options: Any, change: Callable[[Path], Path]) -> Any:
    changes = {}
    for field in fields(options):
        old = getattr(options, field.name)
        new = map_paths(old, change)
        if new != old:
            changes[field.name] = new
    return replace(options, **changes) if changes else options


def expand_path(name: str | Path) -> Path:
    """Return a path with a leading `~` replaced by the user's home folder."""
    path = Path(name)
    if not path.parts[:1] or not path.parts[0].startswith("~"):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        # No such user: a name like any other.
        return path


def begin_program() -> None:
    """Prepare the streams of a program, and see that it can run.

    Raises:
      SystemExit: memory is short, with status 2.
    """
    escape_output()
    keep_errors_harmless()
    shortage = find_shortage()
    if shortage is not None:
        print(f"error: {shortage}", file=sys.stderr)
        sys.exit(INVALID)


def find_option_error(stop: BaseException) -> OptionError | None:
    """Return the error of the options' own checks for which tyro stops, if it is one: a
    line of its own is plainer than tyro's box."""
    # tyro stops while it handles that error, or lets it pass.
    error: BaseException | None = stop
    while error is not None and not isinstance(error, OptionError):
        error = error.__context__
    return error


def command_name(program: str) -> str:
    """Return the words a user has typed to start a program: `jaxportrait NAME`, which
    `jaxportrait.__main__` leaves in `sys.argv`, or `python -m PROGRAM`."""
    # `python -m` leaves a path here.
    typed = sys.argv[0]
    return typed if typed.startswith(f"{COMMAND} ") else f"python -m {program}"


def print_rename(old: str, new: str) -> None:
    """Print a note on stderr that a command has a new name."""
    note = f"note: `{old}` is now `{new}`; the old name goes with the next release"
    print(note, file=sys.stderr)
