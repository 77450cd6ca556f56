"""`python -m train.renderer.evaluate --dataset-path FRAMES --checkpoint CKPT`: how good
a renderer's pictures are."""

import sys

import tyro
from rich.console import Console

from train.evaluate.renderer.run import Options, evaluate


def main() -> None:
    options = tyro.cli(
        Options, description=__doc__, prog="python -m train.renderer.evaluate"
    )
    try:
        evaluate(options, Console())
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
