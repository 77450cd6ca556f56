"""Programs of evaluation under the names of the previous release."""

import runpy
import sys


def run_renamed(old: str, new: str) -> None:
    """Run a program by its new name, and say so on stderr."""
    note = f"note: `python -m {old}` is now `python -m {new}`; the old name goes with the next release"
    print(note, file=sys.stderr)
    runpy.run_module(new, run_name="__main__", alter_sys=False)
