"""`python -m train.evaluate.renderer --dataset-path FRAMES --checkpoint CKPT`: how good
a renderer's pictures are."""

from jaxportrait.console.cache import start_cache
from jaxportrait.console.options import parse_options
from train.evaluate.program import run_evaluation
from train.evaluate.renderer.run import Options, evaluate

PROGRAM = "train.evaluate.renderer"
SUMMARY = """Measure a renderer's pictures of people that it has not seen."""
EXAMPLE = "--dataset-path data/frames --checkpoint checkpoints/mine"


def main() -> None:
    options = parse_options(Options, PROGRAM, summary=SUMMARY, example=EXAMPLE)
    run_evaluation(evaluate, options)


def program() -> None:
    """Run `main` in a process of its own."""
    start_cache()
    main()


if __name__ == "__main__":
    program()
