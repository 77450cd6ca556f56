"""Output of programs that no terminal, pipe or encoding can turn into a failure."""

import io
import os
import sys
from typing import TextIO


def escape_output() -> None:
    """Escape what the encodings of stdout and stderr lack.

    Streams that a caller has put in their place stay as they are.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream in (sys.__stdout__, sys.__stderr__):
            _escape(stream)


def print_result(line: str) -> None:
    """Print a line of a finished work on stdout.

    The work stands, whether anybody reads of it or not.
    """
    try:
        print(line, flush=True)
    except OSError:
        discard_stdout()


def discard_stdout() -> None:
    """Lead stdout nowhere: Python flushes it again at its end, and would fail again."""
    empty = os.open(os.devnull, os.O_WRONLY)
    os.dup2(empty, sys.stdout.fileno())
    os.close(empty)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream shows what is printed to a user; None is a closed one."""
    return stream is not None and stream.isatty()


def printable(text: str) -> str:
    """Return text with characters that would disturb a terminal escaped."""
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    # Bytes of a name that are no UTF-8 are lone surrogates.
    return character.encode("unicode_escape").decode()


def _escape(stream: TextIO | None) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
