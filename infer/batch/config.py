"""The options of the program for batches."""

from dataclasses import dataclass, field
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

    rows: Positional[Annotated[Path, arg(metavar="ROWS")]]
    pairs: Pairs = "name"
    engine: EngineName = "local"
    workers: Workers | None = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make many clips: each option of a clip is that of the rows which have no other.

    Attributes:
      batch: the rows.
      clip: options of every clip.
    """

    batch: OmitArgPrefixes[Batch]
    clip: OmitArgPrefixes[infer.config.Options] = field(
        default_factory=infer.config.Options
    )

    @property
    def folder(self) -> Path:
        """Folder of the clips, and of the table of results."""
        return self.clip.output.output
