"""`python -m train.evaluate.speech --heads DIR --training-heads DIR --output DIR`:
whether rendered heads say what they hear."""

from jaxportrait.console.cache import start_cache
from jaxportrait.console.options import parse_options
from train.evaluate.program import run_evaluation
from train.evaluate.speech.run import Options, evaluate

PROGRAM = "train.evaluate.speech"
SUMMARY = """Measure mouths, blinks and head motion of heads that a checkpoint makes
speak."""
EXAMPLE = "--heads data/held_out --training-heads data/heads --checkpoint CKPT"


def main() -> None:
    options = parse_options(Options, PROGRAM, summary=SUMMARY, example=EXAMPLE)
    run_evaluation(evaluate, options)


def program() -> None:
    """Run `main` in a process of its own."""
    start_cache()
    main()


if __name__ == "__main__":
    program()
