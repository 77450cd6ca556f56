"""The table of results: a line of JSON for every row, always whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from jaxportrait.whole import write_whole

Status = Literal["waiting", "done", "failed"]


@dataclass(frozen=True)
class Entry:
    """The result of a row.

    Attributes:
      row: number of the row, from 1.
      status: "waiting" until the row is worked on.
      output: the clip; empty where the row does not say.
      reason: one line about a failure.
      warnings: remarks on a clip that was made.
      source: picture or video with a face.
      driving: file that drives it.
      seconds: time that the row took.
      compile_seconds: part of it that was spent compiling.
      frames: frames of the clip.
      render_fps: frames rendered a second, without compiling.
      clip_seconds: duration of the clip.
      size: width and height of the clip.
      bytes: size of the clip on the disk.
      device: device that made it.
      fingerprint: digest of the options and of the content of all inputs.
    """

    row: int
    status: Status
    output: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    source: str = ""
    driving: str = ""
    seconds: float = 0.0
    compile_seconds: float = 0.0
    frames: int = 0
    render_fps: float = 0.0
    clip_seconds: float = 0.0
    size: tuple[int, int] = (0, 0)
    bytes: int = 0
    device: str = ""
    fingerprint: str = ""


class Results:
    """The entries of a batch, written after every change."""

    def __init__(self, path: Path, entries: Iterable[Entry]):
        self.path = path
        self._entries = {entry.row: entry for entry in entries}
        self._write()

    def put(self, entry: Entry) -> None:
        """Replace the entry of a row."""
        self._entries[entry.row] = entry
        self._write()

    def count(self, status: Status) -> int:
        """Return the number of rows with a status."""
        return sum(entry.status == status for entry in self._entries.values())

    def _write(self) -> None:
        encode = msgspec.json.Encoder().encode
        lines = [encode(entry) for _, entry in sorted(self._entries.items())]
        # A run that is ended at any moment leaves the lines of before.
        with write_whole(self.path) as partial:
            partial.write_bytes(b"".join(line + b"\n" for line in lines))


def read_results(path: Path) -> list[Entry]:
    """Return the entries of an earlier run; none where there was no run.

    Raises:
      ValueError: the file is no table of results.
      OSError: it cannot be read.
    """
    # The first run of a batch.
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Entry) for line in lines]
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{path} is no table of results ({error}): remove it, and every row is made again"
        ) from error


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of a folder's files; 0 where there is nothing."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
