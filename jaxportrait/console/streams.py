"""Standard streams that stop no program: what cannot be printed is lost."""

import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

STANDARD = 3
"""Number of the standard streams: input, output and errors."""


class LenientStream:
    """A text stream whose writes never fail.

    Args:
      stream: the stream that is written to while that is possible.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        # The disk is full, the reader has gone, or the stream is closed.
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    # What it is called, whether it is a terminal, its encoding.
    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def keep_errors_harmless() -> None:
    """Let nothing that is printed to stderr stop this process, or reach another file.

    A program calls it before it opens files of its own.
    """
    # The next file that is opened has the lowest free number: after `2>&-`, a video
    # would have that of stderr, and libraries would print into it.
    number = os.open(os.devnull, os.O_RDWR)
    while number < STANDARD:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    # Python has no stderr if it was closed at the start.
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if not isinstance(sys.stderr, LenientStream):
        sys.stderr = cast(TextIO, LenientStream(sys.stderr))
