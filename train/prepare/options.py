"""Options that the programs `train.process` and `train.frames` share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from jaxportrait.console.errors import exit_on_error
from train.data.clips import LayoutName, Selection
from train.prepare.pools import EngineName

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
    workers: int = 1
    limit: int = 0

    def check(self) -> None:
        """Raise a ValueError for numbers out of range."""
        for name, least in (("workers", 1), ("limit", 0)):
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"--{name} must be at least {least}, got {value}")


@contextmanager
def resumable() -> Iterator[None]:
    """Run the body of a program: an error is one line and an exit status, and Ctrl-C
    tells how to resume."""
    # workers share a GPU with this process
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    message = "interrupted: run the same command again to resume"
    with exit_on_error(interrupted=message):
        yield
