"""`python -m train.spoken --heads DIR --training-heads DIR --output DIR`: whether
rendered heads say what they hear."""

import sys

import tyro
from rich.console import Console

from train.evaluate.speech.run import Options, evaluate

REPORT_WIDTH = 120  # characters, where there is no terminal


def main() -> None:
    options = tyro.cli(Options, description=__doc__, prog="python -m train.spoken")
    try:
        evaluate(options, Console(width=None if sys.stdout.isatty() else REPORT_WIDTH))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
