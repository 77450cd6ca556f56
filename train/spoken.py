"""`python -m train.spoken`: the previous name of `python -m train.evaluate.speech`."""

from train.evaluate.renamed import run_renamed


def main() -> None:
    run_renamed("train.spoken", "train.evaluate.speech")


if __name__ == "__main__":
    main()
