"""`python -m train.process --dataset-path MEAD --output-path OUT --checkpoint CKPT`: videos -> motion shards."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from jaxportrait.media.faces import DetectorName
from train.process.extract import Settings
from train.process.layouts import LayoutName, Selection
from train.process.progress import tables
from train.process.run import EngineName, Job, MotionName, process

Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True)
class Options:
    """Make a data set for training out of talking-head videos. An interrupted run goes on when it is started again.

    Attributes:
      dataset_path: folder of the videos.
      output_path: folder of the data set; its subfolder `clips` keeps what is done and may be deleted at the end.
      checkpoint: with a motion extractor and an audio encoder.
      layout: `mead` for MEAD's tree; `folder` for any tree of videos with sound.
      motion: the motion space that training takes where it is told no other; all of the motion is stored.
      subjects: take these alone.
      emotions: take these alone (MEAD).
      levels: take these alone (MEAD).
      angles: of MEAD's cameras, `all` for all; the front if left out.
      engine: `local`, or `ray` for a cluster (pip install 'jaxportrait[cluster]').
      workers: processes at work, each with its own networks.
      limit: take the first so many clips; 0 takes all.
      detector: how faces are found; `none` for videos already cropped.
      detector_models: folder of the detector's files.
      batch_size: pictures that the motion extractor reads at once.
    """

    dataset_path: Folder
    output_path: Folder
    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    layout: LayoutName = "mead"
    motion: MotionName = "lip"
    subjects: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    angles: tuple[str, ...] = ()
    engine: EngineName = "local"
    workers: int = 1
    limit: int = 0
    detector: DetectorName = "auto"
    detector_models: Path | None = None
    batch_size: int = 16

    def job(self) -> Job:
        return Job(
            self.dataset_path,
            self.output_path,
            Settings(self.checkpoint.absolute(), self.detector, self.detector_models, self.batch_size),
            self.layout,
            Selection(self.subjects, self.emotions, self.levels, self.angles),
            self.motion,
            self.engine,
            self.workers,
            self.limit,
        )


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    console = Console()
    try:
        dataset, entries = process(options.job(), console)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    for table in tables(dataset, entries):
        console.print(table)


if __name__ == "__main__":
    main()
