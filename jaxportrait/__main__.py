"""`jaxportrait COMMAND`, or `python -m jaxportrait COMMAND`: every program under one
name.

Programs are loaded by name, and only the one that is asked for: the library does not
import them.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from jaxportrait.console.errors import INVALID
from jaxportrait.console.extras import explain_missing_package
from jaxportrait.console.interrupts import end, receive_signals
from jaxportrait.console.options import COMMAND, begin_program, print_rename
from jaxportrait.console.origin import prefer_own_programs


@dataclass(frozen=True)
class Program:
    """A command.

    Attributes:
      entry: `MODULE:FUNCTION` that runs it.
      summary: a line for the list of commands.
    """

    entry: str
    summary: str


# In the order of a user's work: use, data, training, evaluation.
PROGRAMS = {
    "animate": Program(
        "infer.__main__:program",
        "make a portrait speak: picture + recording -> video",
    ),
    "batch": Program(
        "infer.batch.__main__:main",
        "many pictures + recordings, a row each -> videos",
    ),
    "edit": Program(
        "infer.edit:program",
        "change a picture's face by numbers, or over time",
    ),
    "web": Program(
        "infer.web.__main__:program",
        "all of it on a page in the browser",
    ),
    "serve": Program(
        "infer.serve.__main__:program",
        "serve a portrait that speaks, live and by jobs",
    ),
    "convert": Program(
        "convert_weights.__main__:main",
        "published PyTorch weights -> checkpoint",
    ),
    "download": Program(
        "jaxportrait.console.download:main",
        "fetch the model files of the face mesh",
    ),
    "process": Program(
        "train.process:program",
        "talking-head videos -> motion data set",
    ),
    "frames": Program(
        "train.frames:main",
        "talking-head videos -> frames for training a renderer",
    ),
    "synthesize": Program(
        "train.synthetic.__main__:main",
        "draw talking heads with known motion",
    ),
    "train": Program(
        "train.__main__:program",
        "train the networks of a stage",
    ),
    "export": Program(
        "train.export.__main__:main",
        "training run -> checkpoint",
    ),
    "evaluate": Program(
        "train.evaluate.__main__:program",
        "measure sampled motion on held-out clips",
    ),
    "evaluate-renderer": Program(
        "train.evaluate.renderer.__main__:program",
        "measure rendered pictures on held-out clips",
    ),
    "evaluate-speech": Program(
        "train.evaluate.speech.__main__:program",
        "measure mouths and blinks of drawn heads that speak",
    ),
}
ALIASES = {
    "jaxportrait-infer": "animate",
    "jaxportrait-convert": "convert",
    "jaxportrait-train": "train",
    "jaxportrait-process": "process",
    "jaxportrait-frames": "frames",
}
"""Scripts of the previous release, kept for one more, and their commands."""


def main() -> None:
    """Run the command named by the first word of the command line."""
    begin_program()
    # No command is an unknown command.
    name, *arguments = sys.argv[1:] or [""]
    if name in ("-h", "--help"):
        print(help_page())
    elif name in PROGRAMS:
        run_program(name, arguments)
    else:
        commands = ", ".join(PROGRAMS)
        print(f"error: no command {name!r}: choose one of {commands}", file=sys.stderr)
        sys.exit(INVALID)


def run_alias() -> None:
    """Run the command that a script of the previous release stands for."""
    # On Windows the script's name ends in .exe.
    script = Path(sys.argv[0]).stem
    name = ALIASES[script]
    print_rename(script, f"{COMMAND} {name}")
    run_program(name, sys.argv[1:])


def run_program(name: str, arguments: list[str]) -> None:
    """Load a program and run it with these arguments.

    Raises:
      SystemExit: a package that the program needs is not installed, with status 2.
    """
    program = PROGRAMS[name]
    module, _, function = program.entry.partition(":")
    prefer_own_programs()
    # the program's help page and errors show this name
    sys.argv = [f"{COMMAND} {name}", *arguments]
    try:
        # Large packages take seconds to import.
        with receive_signals(end):
            start = getattr(import_module(module), function)
        start()
    except ModuleNotFoundError as error:
        line = explain_missing_package(sys.argv[0], error)
        if line is None:
            raise
        print(line, file=sys.stderr)
        sys.exit(INVALID)


def help_page() -> str:
    """Return the usage and the list of commands."""
    width = max(len(name) for name in PROGRAMS)
    lines = [f"  {name:{width}}  {item.summary}" for name, item in PROGRAMS.items()]
    return "\n".join(
        [
            f"usage: {COMMAND} COMMAND [OPTIONS]",
            "",
            "Audio-driven portrait animation: train the networks, and make pictures speak.",
            "",
            "commands:",
            *lines,
            "",
            f"Options of a command: {COMMAND} COMMAND --help",
            f"Example: {COMMAND} animate -s portrait.jpg -d speech.wav",
        ]
    )


if __name__ == "__main__":
    main()
