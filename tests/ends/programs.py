"""Programs whose ends are tested, and the content of what they make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from infer.batch.results import read_results
from jaxportrait.checkpoint import open_checkpoint
from tests.train.runs import weights_of

COMPILING = "Compiling jit("
"""Line that JAX prints before it compiles a program."""
WORKING = "working"
"""Moment at which a worker has begun to write."""
MOMENTS = {
    # Videos are opened by another library, of which Python tells nothing.
    "animate": ("reading", "locking", "written", COMPILING),
    "batch": ("locking", "begun", "written", WORKING),
    "edit": ("locking", "written", COMPILING),
    "warm_up": (COMPILING,),
    "convert": ("reading", "locking", "begun", "written"),
    "download": ("locking", "begun", "written"),
    "process": ("reading", "locking", "begun", "written", COMPILING),
    # Where there are several processes, the workers read and compile.
    "process_by_two": ("locking", "begun", "written"),
    "frames_by_two": ("locking", "begun", "written"),
    "synthesize": ("locking", "begun", WORKING),
    "train": (COMPILING, "saving"),
    "export": ("reading", "locking", "begun", "written"),
    "evaluate": ("begun", "written", COMPILING),
}
"""Program -> moments at which it can be ended; see `tests.ends.stopped`."""


@dataclass(frozen=True)
class Program:
    """A command, to be run in a folder of its own.

    Attributes:
      module: module that `python -m` runs.
      options: words of the command line; results are written into the working folder.
      result: path of what it makes, below that folder.
      read: content of the result, for comparison.
    """

    module: str
    options: Sequence[str]
    result: str
    read: Callable[[Path], object] = field(default=lambda path: read_files(path))


def read_files(path: Path) -> dict[str, bytes]:
    """Return the content of a file, or of a folder's files."""
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    return {file.name: file.read_bytes() for file in files if file.is_file()}


def read_batch(path: Path) -> list[object]:
    """Return the clips of a batch, and the status of every row."""
    clips = [*sorted((path / "one").iterdir()), path / "two.mp4"]
    entries = read_results(path / "rows.results.jsonl")
    return [
        *(clip.read_bytes() for clip in clips),
        *(entry.status for entry in entries),
    ]


def read_dataset(path: Path) -> dict[str, bytes]:
    """Return the content of a data set, without the records of single clips."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


def read_weights(path: Path) -> list[bytes]:
    """Return the arrays of a checkpoint."""
    checkpoint = open_checkpoint(path)
    arrays = [checkpoint.leaves(part) for part in checkpoint.parts]
    return [leaf.tobytes() for leaves in arrays for leaf in leaves.values()]


def read_run(path: Path) -> list[bytes]:
    """Return the weights that a run has saved last."""
    weights, _ = weights_of(path)
    return [np.asarray(leaf).tobytes() for leaf in weights.values()]


def is_there(path: Path) -> bool:
    """Return whether there is something, whose content differs from run to run."""
    return path.exists()
