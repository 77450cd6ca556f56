"""Files from users, in a private folder, under random names, and deleted after use."""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from infer.folder import PrivateFolder
from infer.limits import Kind, UploadError, UploadLimits, probe
from jaxportrait.console.output import printable

SUFFIXES: dict[Kind, tuple[str, ...]] = {
    "picture": (
        ".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff",
    ),
    "sound": (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus"),
    "video": (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"),
    "motion": (".pkl", ".safetensors"),
}  # fmt: skip
"""Kind of a file -> suffixes of its names, in small letters."""
PIECE = 2**16
"""Bytes that are read at once."""
NAME_BYTES = 16
"""Random bytes of a name: too many to guess."""
MOST_LETTERS = 80
"""Letters of a user's name for a file, in messages."""


@dataclass(frozen=True)
class Upload:
    """A file from a user, accepted.

    Attributes:
      path: its place in the private folder.
      kind: its kind by content.
      name: the user's name for it; only for messages, with nothing unprintable.
    """

    path: Path
    kind: Kind
    name: str

    def delete(self) -> None:
        """Delete the file, if it still exists."""
        self.path.unlink(missing_ok=True)

    def name_in(self, message: str) -> str:
        """Return a message with the user's name in place of the path."""
        return message.replace(str(self.path), self.name)


class Uploads:
    """The private folder of a server: files of users, and results for them.

    Only this user may read it. It is deleted with all it holds by `close`, at the end of
    the process, or at the next start after a kill.

    Attributes:
      limits: limits of one file.
      folder: its path.
    """

    def __init__(self, limits: UploadLimits | None = None):
        self.limits = limits or UploadLimits()
        self._private = PrivateFolder()
        self.folder = self._private.path

    def receive(self, file: BinaryIO, name: str, kinds: Collection[Kind]) -> Upload:
        """Store a file of a user and check it, or leave nothing.

        Args:
          file: content, read from where it stands and never beyond the limit.
          name: the user's name for it. Its suffix must be known; nothing of it becomes
            a part of a path.
          kinds: kinds that are accepted.

        Raises:
          UploadError: it is of another kind, cannot be read, or exceeds a limit.
        """
        path = self.place(known_suffix(name, kinds))
        with deleted_on_error(path):
            self._copy(file, path)
            kind = probe(path, self.limits)
            if kind not in kinds:
                raise UploadError(
                    f"the file is a {kind}, and this place is for a {join(kinds)}: use another one"
                )
        return Upload(path, kind, shown_name(name))

    def place(self, suffix: str) -> Path:
        """Return a path for a new file, with a random name.

        Args:
          suffix: one of the program's own, never a user's.
        """
        return self.folder / f"{secrets.token_hex(NAME_BYTES)}{suffix}"

    def close(self) -> None:
        """Delete the folder and all files in it."""
        self._private.close()

    def _copy(self, file: BinaryIO, path: Path) -> None:
        count = 0
        with path.open("xb") as copy:
            while piece := file.read(PIECE):
                count += len(piece)
                # Before it is written: no file grows beyond the limit.
                self.limits.check_bytes(count)
                copy.write(piece)
        if count == 0:
            raise UploadError("the file is empty (0 bytes): send it again")


def known_suffix(name: str, kinds: Collection[Kind]) -> str:
    """Return the suffix in the table that a name ends in.

    Raises:
      UploadError: it ends in none for these kinds.
    """
    # The table's own suffix is returned, and nothing of the name.
    ending = name.lower()
    choices = [suffix for kind in kinds for suffix in SUFFIXES[kind]]
    for suffix in choices:
        if ending.endswith(suffix):
            return suffix
    raise UploadError(
        f"the file's name, {shown_name(name)!r}, ends in none of {', '.join(choices)}: convert or rename it"
    )


def shown_name(name: str) -> str:
    """Return a user's name for a file in a form for messages: short, and one line."""
    # Browsers of old send a whole path.
    last = name.replace("\\", "/").rpartition("/")[2]
    return printable(last[:MOST_LETTERS]) or "the file"


def join(kinds: Collection[Kind]) -> str:
    """Return kinds as words, such as `picture or video`."""
    *others, last = kinds
    return f"{', '.join(others)} or {last}" if others else last


@contextmanager
def deleted_on_error(path: Path) -> Iterator[None]:
    """Delete a file if the block raises."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
