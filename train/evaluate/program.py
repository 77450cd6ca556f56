"""The programs of evaluation: how they run and what they print."""

import sys
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console

from jaxportrait.console.errors import exit_on_error

T = TypeVar("T")
REPORT_WIDTH = 120  # characters of a table, where there is no terminal


def run_evaluation(evaluate: Callable[[T, Console], None], options: T) -> None:
    """Run an evaluation; an error is one line and an exit status."""
    width = None if sys.stdout.isatty() else REPORT_WIDTH
    with exit_on_error():
        evaluate(options, Console(width=width, markup=False))
