"""`python -m infer.batch ROWS [-o DIR]`: many pictures and recordings become videos."""

import sys
from pathlib import Path

from rich.console import Console

from infer.batch.config import Options
from infer.batch.run import run_batch, say
from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import map_paths, parse_options
from jaxportrait.console.output import is_terminal, print_result, printable

SUMMARY = """Make many portraits speak: every row of a table becomes a video.

The columns of the table are options of `python -m infer`; what a row does not have is
that of the command line below. The same command again makes only what is missing."""
EXAMPLE = "rows.csv -o clips --checkpoint checkpoints/liveportrait"
FAILED = 1
"""Exit status if a row has failed."""


def main() -> None:
    options = parse_options(Options, "infer.batch", summary=SUMMARY, example=EXAMPLE)
    console = Console(stderr=True, markup=False)
    resume = "run the same command again to resume"
    with exit_on_error(resume=resume, debug=options.debug):
        # Workers may have other folders.
        results = run_batch(map_paths(options, Path.absolute), console)
        done, failed = results.count("done"), results.count("failed")
        # The path is all that goes to stdout, for scripts; a user reads the next line.
        if not is_terminal(sys.stdout):
            print_result(printable(str(results.path)))
        say(console, f"{done} done, {failed} failed: {results.path}")
    if failed:
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
