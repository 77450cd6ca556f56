"""Packages that are not installed: one line that names the extra they are in."""

import sys
from types import TracebackType

from jaxportrait.console.memory import find_shortage
from jaxportrait.console.origin import PROGRAM_PACKAGES

MISSING = 2
"""Exit status, as that of a request that cannot be fulfilled."""
EXTRAS = {
    "torch": "convert",
    "whisper": "convert",
    "huggingface_hub": "convert",
    "optax": "train",
    "grain": "train",
    "array_record": "train",
    "tensorboardX": "train",
    "matplotlib": "train",
    "onnxruntime": "insightface",
    "ray": "cluster",
    "gradio": "web",
    "fastapi": "serve",
    "uvicorn": "serve",
    "websockets": "serve",
    "multipart": "serve",
    "prometheus_client": "serve",
}
"""Package -> extra of this project; others are in the project's own requirements."""
PROGRAM_EXTRAS = {"web": "web", "serve": "serve"}
"""Last word of a program's name -> the extra that holds all of its packages, those among
them that other packages bring."""
OWN_PACKAGES = {"jaxportrait", "benchmarks", *PROGRAM_PACKAGES}


def explain_missing_package(command: str, error: ModuleNotFoundError) -> str | None:
    """Return a line about a package that a command needs.

    None for a missing module of ours or of Python: a defect, which no extra repairs.
    """
    package = (error.name or "").partition(".")[0]
    if not package or package in OWN_PACKAGES | sys.stdlib_module_names:
        return None
    program = command.replace(".", " ").split()[-1]
    extra = PROGRAM_EXTRAS.get(program) or EXTRAS.get(package)
    requirement = f".[{extra}]" if extra else "."
    return (
        f"error: {command} needs {package}, which is not installed: "
        f"pip install -e '{requirement}'"
    )


def guard_imports() -> None:
    """Print one line in place of a traceback where the imports of a program fail: for a
    requirement that is not installed, or too little address space.

    Only for a package that `python -m PACKAGE` runs, which calls this as it is
    imported: the program itself fails at its first lines, the imports.
    """
    # Python's name of a program whose package it is importing.
    if sys.argv[:1] != ["-m"]:
        return
    shortage = find_shortage()
    if shortage is not None:
        print(f"error: {shortage}", file=sys.stderr)
        sys.exit(MISSING)
    show = sys.excepthook

    def hook(
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        line = None
        if isinstance(error, ModuleNotFoundError):
            line = explain_missing_package(_command(), error)
        if line is None:
            show(kind, error, traceback)
            return
        print(line, file=sys.stderr)
        sys.exit(MISSING)

    sys.excepthook = hook


def _command() -> str:
    spec = sys.modules["__main__"].__spec__
    name = "" if spec is None else spec.name.removesuffix(".__main__")
    return f"python -m {name}"
