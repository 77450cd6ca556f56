"""The program, run in this process or as a command."""

import sys

from infer.__main__ import main


def run(inputs: dict, *more: str, sampled: bool = True, **changed) -> None:
    options = {**inputs, **changed}
    # A dictionary of options becomes words.
    arguments = [str(word) for pair in options.items() for word in pair]
    sys.argv = [
        "infer",
        *arguments,
        "--detector",
        "none",
        "--compilation-cache",
        "none",
        *(["--steps", "2"] if sampled else []),
        *more,
    ]
    main()


def command(inputs: dict, *more: str) -> list[str]:
    options = [str(word) for pair in inputs.items() for word in pair]
    return [
        sys.executable,
        "-m",
        "infer",
        *options,
        "--detector",
        "none",
        "--steps",
        "2",
        *more,
    ]
