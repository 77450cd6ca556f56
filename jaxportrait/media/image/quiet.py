"""Keep Pillow from printing while a picture is read; the error raised here says all.

Filters of warnings belong to the whole process. The filter of this module matches only
in a thread that reads a picture, so that it changes nothing for others.
"""

import ctypes
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from PIL import _imaging

_READING: ContextVar[bool] = ContextVar("_READING", default=False)


class _PillowWhileReading:
    """Matches names of Pillow's modules, in place of a regular expression."""

    def match(self, module: str) -> bool:
        return _READING.get() and module.startswith("PIL.")


_IGNORE: Any = ("ignore", None, Warning, _PillowWhileReading(), 0)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings and log in this thread; other threads keep theirs."""
    # The first filter that matches counts, and others may have been put before it.
    if warnings.filters[:1] != [_IGNORE]:
        warnings.filters.insert(0, _IGNORE)  # pyright: ignore[reportAttributeAccessIssue]
    token = _READING.set(True)
    try:
        yield
    finally:
        _READING.reset(token)


def _is_heard(record: logging.LogRecord) -> bool:
    return not _READING.get()


# Without a handler, Python prints the log's errors to stderr.
logging.getLogger("PIL.TiffImagePlugin").addFilter(_is_heard)


def _silence_libtiff() -> None:
    """Stop libtiff, of which Pillow has a copy of its own, from printing to stderr.

    Pillow raises an error in any case where it matters.
    """
    pillow = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
        # A build of Pillow may hide these functions, or lack libtiff.
        with suppress(AttributeError):
            getattr(pillow, name)(None)


_silence_libtiff()
