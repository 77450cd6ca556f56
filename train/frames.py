"""`python -m train.frames --dataset-path VIDEOS --output-path FRAMES`: videos -> frames
for renderer training."""

from collections.abc import Iterable

import tyro
from rich.console import Console
from rich.table import Table

from train.prepare.frames.run import Options, facts, make_frames
from train.prepare.options import run_program
from train.prepare.report import tables


def run(options: Options, console: Console) -> Iterable[Table]:
    """Cut out the frames, and return the tables of the result."""
    dataset, entries = make_frames(options, console)
    return tables(facts(dataset), entries)


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    run_program(lambda console: run(options, console))


if __name__ == "__main__":
    main()
