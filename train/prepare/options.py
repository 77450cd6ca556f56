"""What the command lines of `train.process` and `train.frames` have in common."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from jaxportrait.media.faces import DetectorName
from train.data.clips import LayoutName, Selection
from train.prepare.gather import EngineName, Job, W

Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """Which clips to work on, and how.

    Attributes:
      dataset_path: folder of the videos.
      output_path: folder of the data set; its subfolder `clips` keeps what is done and
        may be deleted at the end.
      layout: `mead` for MEAD's tree; `folder` for any tree of videos.
      subjects: take these alone.
      emotions: take these alone (MEAD).
      levels: take these alone (MEAD).
      angles: of MEAD's cameras, `all` for all; the front if left out.
      engine: `local`, or `ray` for a cluster (needs Ray).
      workers: processes at work.
      limit: take the first so many clips; 0 takes all.
      detector: how faces are found; `none` for videos already cropped.
      detector_models: folder of the detector's files.
    """

    dataset_path: Folder
    output_path: Folder
    layout: LayoutName = "mead"
    subjects: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    angles: tuple[str, ...] = ()
    engine: EngineName = "local"
    workers: int = 1
    limit: int = 0
    detector: DetectorName = "auto"
    detector_models: Path | None = None

    @property
    def models_folder(self) -> Path | None:
        """The detector's files by a path that holds wherever the work is done."""
        return None if self.detector_models is None else self.detector_models.absolute()

    def job(self, recipe: W) -> Job[W]:
        """The work on these clips by `recipe`."""
        selection = Selection(self.subjects, self.emotions, self.levels, self.angles)
        return Job(
            self.dataset_path.absolute(),
            self.output_path,
            recipe,
            self.layout,
            selection,
            self.engine,
            self.workers,
            self.limit,
        )


def run_program(program: Callable[[Console], Iterable[Table]]) -> None:
    """Run a program and show its tables; what stops it is one line and an exit
    status."""
    os.environ.setdefault(
        "XLA_PYTHON_CLIENT_PREALLOCATE", "false"
    )  # workers share a GPU with this process
    console = Console()
    try:
        tables = program(console)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    for table in tables:
        console.print(table)
