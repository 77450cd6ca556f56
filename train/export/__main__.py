"""`python -m train.export --work-dir RUN --output CKPT`: write the networks of a run as
a checkpoint that `infer` reads."""

from rich.console import Console

from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from train.export.write import Options, export

SUMMARY = """Write one checkpoint of the networks that a run has trained and the parts
that it has not."""
EXAMPLE = "--work-dir runs/flow --output checkpoints/mine"


def main() -> None:
    options = parse_options(Options, "train.export", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error():
        summary = export(options)
        console = Console(markup=False, highlight=False, soft_wrap=True)
        console.print(summary)


if __name__ == "__main__":
    main()
