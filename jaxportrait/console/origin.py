"""Programs are found by the names `train`, `infer` and `convert_weights`, which a user's
own files may have too."""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

PROGRAM_PACKAGES = ("convert_weights", "infer", "train")
HOME = Path(__file__).parents[2]
"""The folder that this package and its programs were installed into."""


def prefer_own_programs() -> None:
    """Let our programs win over modules of the same names.

    `python -m` puts the current folder first on the module path. A folder on it that
    holds, for example, another `train.py` moves behind the one that holds ours. Worker
    processes inherit the path.
    """
    others = [folder for folder in sys.path if _holds_another(folder)]
    if not others:
        return
    path = [folder for folder in sys.path if folder not in others]
    if str(HOME) not in path:
        path.append(str(HOME))
    sys.path[:] = [*path, *others]


def print_others() -> None:
    """Print a note on stderr for each program that `python -m` would not find here."""
    for name in PROGRAM_PACKAGES:
        origin = _origin(name, sys.path)
        if _is_another(name, origin):
            print(
                f"note: `python -m {name}` would run {origin} here, and not this package's: "
                "use the command `jaxportrait`",
                file=sys.stderr,
            )


def _holds_another(folder: str) -> bool:
    return any(_is_another(name, _origin(name, [folder])) for name in PROGRAM_PACKAGES)


def _is_another(name: str, origin: Path | None) -> bool:
    return origin is not None and origin != HOME.resolve() / name / "__init__.py"


def _origin(name: str, path: list[str]) -> Path | None:
    """Return the file that a module is loaded from; None without one.

    A folder without `__init__.py` has no file, and every module wins over it.
    """
    spec = PathFinder.find_spec(name, path)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).resolve()
