"""`python -m train.evaluate --dataset-path OUT --checkpoint CKPT`: how good sampled
motion is on held-out subjects."""

from jaxportrait.console.cache import start_cache
from jaxportrait.console.options import parse_options
from train.evaluate.motion.run import Options, evaluate
from train.evaluate.program import run_evaluation

SUMMARY = """Measure sampled motion on held-out clips, over steps and guidance."""
EXAMPLE = "--dataset-path data/mead --checkpoint checkpoints/mine --steps 5 10"


def main() -> None:
    options = parse_options(Options, "train.evaluate", summary=SUMMARY, example=EXAMPLE)
    run_evaluation(evaluate, options)


def program() -> None:
    """Run `main` in a process of its own."""
    start_cache()
    main()


if __name__ == "__main__":
    program()
