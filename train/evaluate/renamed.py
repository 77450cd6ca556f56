"""Programs of evaluation under the names of the previous release."""

import sys
from importlib import import_module


def run_renamed(old: str, new: str) -> None:
    """Run a program by its new name, and say so on stderr."""
    note = f"note: `python -m {old}` is now `python -m {new}`; the old name goes with the next release"
    print(note, file=sys.stderr)
    import_module(f"{new}.__main__").main()
