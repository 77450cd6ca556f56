"""`python -m train.evaluate --dataset-path OUT --checkpoint CKPT`: how good sampled
motion is on held-out subjects."""

import sys

import tyro
from rich.console import Console

from train.evaluate.motion.run import Options, evaluate

REPORT_WIDTH = 120  # characters, where there is no terminal


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    try:
        evaluate(options, Console(width=None if sys.stdout.isatty() else REPORT_WIDTH))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
