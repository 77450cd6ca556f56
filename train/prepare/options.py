"""Options that the programs `train.process` and `train.frames` share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.workers import Workers
from jaxportrait.ranges import Natural, check_ranges
from train.data.clips import LayoutName, Selection
from train.prepare.pools import EngineName
from train.prepare.quality.gates import Limit, PictureGates
from train.prepare.quality.scores import ScoreOptions
from train.prepare.split import SplitOptions

Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """Clips to process, and the processes that do it.

    Attributes:
      dataset_path: folder of the videos.
      output_path: folder of the data set; its subfolder `clips` holds finished clips and
        may be deleted at the end.
      layout: `mead` for MEAD's tree; `folder` for any tree of videos.
      selection: clips to use.
      engine: `local`, or `ray` for a cluster (needs Ray).
      workers: number of processes.
      limit: use the first so many clips only; 0 uses all.
      split: clips that are held out.
      gates: limits of what may be wrong with a clip.
      scores: the user's own scores.
      report: also write `report.html`: pictures, histograms, reasons, and the clips that
        other limits would leave.
    """

    dataset_path: Folder
    output_path: Folder
    layout: LayoutName = "mead"
    selection: tyro.conf.OmitArgPrefixes[Selection] = field(default_factory=Selection)
    engine: EngineName = "local"
    workers: Workers = 1
    limit: Natural = 0
    split: tyro.conf.OmitArgPrefixes[SplitOptions] = field(default_factory=SplitOptions)
    gates: tyro.conf.OmitArgPrefixes[PictureGates] = field(default_factory=PictureGates)
    scores: tyro.conf.OmitArgPrefixes[ScoreOptions] = field(
        default_factory=ScoreOptions
    )
    report: bool = False

    def __post_init__(self) -> None:
        check_ranges(self)

    def limits(self) -> list[Limit]:
        """Return the limits of all columns."""
        return [*self.gates.limits(), *self.scores.limits()]


@contextmanager
def resumable() -> Iterator[None]:
    """Run the body of a program: an error is one line and an exit status, and Ctrl-C
    tells how to resume."""
    # workers share a GPU with this process
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with exit_on_error(resume="run the same command again to resume"):
        yield
