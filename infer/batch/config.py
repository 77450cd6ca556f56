"""The options of the program for batches."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

import infer.config
from jaxportrait.console.workers import Workers
from jaxportrait.ranges import check_ranges

Pairs = Literal["name", "all"]
EngineName = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The rows, and the processes that work on them.

    Attributes:
      rows: a .csv or .jsonl file with a clip in every row, or a folder of pictures and
        of the files that drive them.
      pairs: in a folder, the files that drive a picture: those of its name (anna.png,
        anna.wav), or all.
      engine: `local` processes, or the CPUs and GPUs of a `ray` cluster.
      workers: parallel processes; by default one for every device.
    """

    # By its place on the command line, as a file to open.
    rows: Positional[Annotated[Path, arg(metavar="ROWS")]]
    pairs: Pairs = "name"
    engine: EngineName = "local"
    workers: Workers | None = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class Options(infer.config.Options):
    """Make many clips: the options of a clip are those of the rows that have no others.

    Attributes:
      batch: the rows, and the processes that work on them.
    """

    batch: OmitArgPrefixes[Batch]

    @property
    def clip(self) -> infer.config.Options:
        """Options of every clip."""
        names = [field.name for field in fields(infer.config.Options)]
        return infer.config.Options(**{name: getattr(self, name) for name in names})

    @property
    def folder(self) -> Path:
        """Folder of the clips, and of the table of results."""
        return self.output.output
