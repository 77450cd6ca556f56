"""The cache of compiled programs, as programs start it."""

import re
import sys
import warnings
from contextlib import suppress
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

from jaxportrait.cache import explain, open_cache

ANY_WARNING = "Error (reading|writing) persistent compilation cache entry"
"""Begin of JAX's warnings about its cache; what follows has the program's name."""
UNREADABLE = re.compile(r"Error reading .* entry for '(.*?)'", re.DOTALL)
UNWRITABLE = re.compile(
    r"Error writing .* entry for '.*?': (?:\w+: )?(?:\[.*?\] )?([^:]*)"
)
ENTRY = "{}-*-cache"
"""Names of a program's entries, with hashes."""


def start_cache(folder: str | None = None, *, is_needed: bool = False) -> None:
    """Use a cache of compiled programs.

    Where the default folder cannot be used, a line says so, and there is none. An entry
    that is damaged is removed, and its program compiled and kept again.

    Args:
      folder: the folder; "none" for no cache.
      is_needed: whether the program is of no use without one.

    Raises:
      OSError: the folder that was asked for, or is needed, cannot be used. If it is
        needed, whatever compiles later raises this as well.
    """
    if folder == "none":
        return
    try:
        path = open_cache(folder)
    except OSError as error:
        if folder is not None or is_needed:
            raise
        print(f"note: {error}", file=sys.stderr)
        return
    # JAX's words are long, and Python adds a line of JAX's source.
    warnings.filterwarnings("always", message=ANY_WARNING)
    show = partial(_show, warnings.showwarning, CacheProblems(path, is_needed))
    warnings.showwarning = show


class CacheProblems:
    """Answers to JAX's warnings about its cache.

    Args:
      folder: the cache.
      is_needed: raise an OSError where an entry cannot be written.
    """

    def __init__(self, folder: Path, is_needed: bool):
        self._folder = folder
        self._is_needed = is_needed
        self._reasons: set[str] = set()

    def answer(self, warning: str) -> bool:
        """Return whether a warning is about the cache, and is answered.

        Raises:
          OSError: the cache is needed and cannot be written to.
        """
        unreadable = UNREADABLE.match(warning)
        unwritable = UNWRITABLE.match(warning)
        if unreadable is not None:
            self._renew(unreadable[1])
        elif unwritable is not None:
            self._report(unwritable[1].strip())
        return unreadable is not None or unwritable is not None

    def _renew(self, name: str) -> None:
        """Remove a program's entries, since JAX never replaces one."""
        for entry in self._folder.glob(ENTRY.format(escape(name))):
            with suppress(OSError):
                entry.unlink()
        print(
            f"note: an entry of {self._folder} was damaged ({name}): it is compiled again",
            file=sys.stderr,
        )

    def _report(self, reason: str) -> None:
        line = explain(self._folder, reason)
        if self._is_needed:
            raise OSError(line)
        # Once for hundreds of programs.
        if reason not in self._reasons:
            self._reasons.add(reason)
            print(f"note: {line}", file=sys.stderr)


def _show(show: Any, problems: CacheProblems, message: Any, *others: Any) -> None:
    if not problems.answer(str(message)):
        show(message, *others)
