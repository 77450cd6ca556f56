"""`python -m train.process --dataset-path MEAD --output-path OUT --checkpoint CKPT`:
videos -> motion shards."""

from rich.console import Console

from jaxportrait.console.cache import start_cache
from jaxportrait.console.options import parse_options
from train.prepare.motion.run import Options, facts, process
from train.prepare.options import resumable
from train.prepare.report import print_tables

SUMMARY = """Make a motion data set out of talking-head videos.

An interrupted run resumes when it is started again."""
EXAMPLE = "--dataset-path MEAD --output-path data/mead --checkpoint checkpoints/base"


def main() -> None:
    options = parse_options(Options, "train.process", summary=SUMMARY, example=EXAMPLE)
    console = Console(markup=False)
    with resumable():
        dataset, entries = process(options, console)
        print_tables(console, facts(dataset), entries)


def program() -> None:
    """Run `main` in a process of its own."""
    start_cache()
    main()


if __name__ == "__main__":
    program()
