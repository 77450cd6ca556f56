"""`python -m train.renderer.evaluate`: the previous name of
`python -m train.evaluate.renderer`."""

from train.evaluate.renamed import run_renamed


def main() -> None:
    run_renamed("train.renderer.evaluate", "train.evaluate.renderer")


if __name__ == "__main__":
    main()
