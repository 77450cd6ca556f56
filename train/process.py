"""`python -m train.process --dataset-path MEAD --output-path OUT --checkpoint CKPT`:
videos -> motion shards."""

from collections.abc import Iterable

import tyro
from rich.console import Console
from rich.table import Table

from train.prepare.motion.run import Options, facts, process
from train.prepare.options import run_program
from train.prepare.report import tables


def run(options: Options, console: Console) -> Iterable[Table]:
    """Process the videos, and return the tables of the result."""
    dataset, entries = process(options, console)
    return tables(facts(dataset), entries)


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    run_program(lambda console: run(options, console))


if __name__ == "__main__":
    main()
