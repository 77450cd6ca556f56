"""Programs of evaluation under the names of the previous release."""

from importlib import import_module

from jaxportrait.console.options import print_rename


def run_renamed(old: str, new: str) -> None:
    """Run a program by its new name, and say so on stderr."""
    print_rename(f"python -m {old}", f"python -m {new}")
    import_module(f"{new}.__main__").program()
