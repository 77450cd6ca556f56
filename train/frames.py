"""`python -m train.frames --dataset-path VIDEOS --output-path FRAMES`: videos -> frames
for renderer training."""

from rich.console import Console

from jaxportrait.console.options import parse_options
from train.prepare.frames.run import Options, facts, make_frames
from train.prepare.options import resumable
from train.prepare.report import print_tables

SUMMARY = """Cut faces out of videos, to train a renderer on.

An interrupted run resumes when it is started again."""
EXAMPLE = "--dataset-path MEAD --output-path data/frames --size 512"


def main() -> None:
    options = parse_options(Options, "train.frames", summary=SUMMARY, example=EXAMPLE)
    console = Console(markup=False)
    with resumable():
        dataset, entries = make_frames(options, console)
        print_tables(console, facts(dataset), entries)


if __name__ == "__main__":
    main()
