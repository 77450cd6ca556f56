"""`python -m train.process --dataset-path MEAD --output-path OUT --checkpoint CKPT`:
videos -> motion shards."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from jaxportrait.motion.space import MOTION_FPS
from train.data.records import Dataset
from train.prepare.motion.extract import Settings
from train.prepare.motion.run import MotionName, process
from train.prepare.options import ClipOptions, run_program
from train.prepare.report import Facts, tables


@dataclass(frozen=True, kw_only=True)
class Options(ClipOptions):
    """Make a data set for training out of talking-head videos. An interrupted run goes
    on when it is started again.

    Attributes:
      checkpoint: with a motion extractor and an audio encoder; every worker holds them.
      motion: the motion space that training takes where it is told no other; all of the
        motion is stored.
      batch_size: pictures that the motion extractor reads at once.
    """

    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    motion: MotionName = "lip"
    batch_size: int = 16

    def settings(self) -> Settings:
        return Settings(
            self.checkpoint.absolute(),
            self.detector,
            self.models_folder,
            self.batch_size,
        )


def run(options: Options, console: Console) -> Iterable[Table]:
    dataset, entries = process(options.job(options.settings()), console, options.motion)
    return tables(facts(dataset), entries)


def facts(dataset: Dataset) -> Facts:
    """What the table says of the splits."""
    return {
        split: {
            "clips": str(size.clips),
            "frames": str(size.frames),
            "minutes": f"{size.frames / MOTION_FPS / 60:.1f}",
            "windows": str(size.windows),
        }
        for split, size in dataset.sizes.items()
    }


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    run_program(lambda console: run(options, console))


if __name__ == "__main__":
    main()
