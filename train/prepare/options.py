"""Options that the programs `train.process` and `train.frames` share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from jaxportrait.console.errors import exit_on_error
from jaxportrait.ranges import Natural, check_ranges
from train.data.clips import LayoutName, Selection
from train.prepare.pools import EngineName
from train.workers import Workers

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
    """

    dataset_path: Folder
    output_path: Folder
    layout: LayoutName = "mead"
    selection: tyro.conf.OmitArgPrefixes[Selection] = field(default_factory=Selection)
    engine: EngineName = "local"
    workers: Workers = 1
    limit: Natural = 0

    def __post_init__(self) -> None:
        check_ranges(self)


@contextmanager
def resumable() -> Iterator[None]:
    """Run the body of a program: an error is one line and an exit status, and Ctrl-C
    tells how to resume."""
    # workers share a GPU with this process
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    with exit_on_error(resume="run the same command again to resume"):
        yield
