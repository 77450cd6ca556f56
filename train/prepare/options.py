"""Options that the programs `train.process` and `train.frames` share."""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from train.data.clips import LayoutName, Selection
from train.prepare.pools import EngineName

Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
INTERRUPTED = 130  # exit status of a program that Ctrl-C ended


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


def run_program(program: Callable[[Console], Iterable[Table]]) -> None:
    """Run a program and print its tables; an error is one line and an exit status."""
    # workers share a GPU with this process
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    console = Console()
    try:
        tables = program(console)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to resume", file=sys.stderr)
        sys.exit(INTERRUPTED)
    for table in tables:
        console.print(table)
