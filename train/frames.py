"""`python -m train.frames --dataset-path VIDEOS --output-path FRAMES`: videos -> frames
for renderer training."""

from collections.abc import Iterable
from dataclasses import dataclass

import tyro
from rich.console import Console
from rich.table import Table

from train.data.frames import FrameDataset
from train.prepare.frames.extract import FrameRecipe
from train.prepare.frames.run import make_frames
from train.prepare.options import ClipOptions, run_program
from train.prepare.report import Facts, tables


@dataclass(frozen=True, kw_only=True)
class Options(ClipOptions):
    """Cut faces out of videos, to train a renderer on. An interrupted run goes on when
    it is started again.

    Attributes:
      size: side of the pictures in pixels, 512 at most.
      frames: of each clip, evenly spread over it.
      zoom: how many times tighter to cut the faces out than LivePortrait does; small
        networks draw larger faces better.
    """

    size: int = 256
    frames: int = 32
    zoom: float = 1.0

    def recipe(self) -> FrameRecipe:
        return FrameRecipe(
            self.size, self.frames, self.zoom, self.detector, self.models_folder
        )


def run(options: Options, console: Console) -> Iterable[Table]:
    dataset, entries = make_frames(options.job(options.recipe()), console)
    return tables(facts(dataset), entries)


def facts(dataset: FrameDataset) -> Facts:
    """What the table says of the splits."""
    return {
        split: {
            "clips": str(size.clips),
            "frames": str(size.frames),
            "landmarks": str(dataset.landmarks),
        }
        for split, size in dataset.sizes.items()
    }


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    run_program(lambda console: run(options, console))


if __name__ == "__main__":
    main()
