"""Files in memory, in the place of paths."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

FileSource = str | Path | bytes | BinaryIO
"""A path, a file's content, or an object with a binary file's `read`."""


@dataclass(frozen=True)
class MemoryFile:
    """A file in memory, which readers use as they use a `Path`.

    Attributes:
      name: the file in messages.
      data: its content.
    """

    name: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def exists(self) -> bool:
        return True

    def is_file(self) -> bool:
        return True

    def is_dir(self) -> bool:
        return False

    def read_bytes(self) -> bytes:
        return self.data

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the content for reading, from its start."""
        file = BytesIO(self.data)
        # PyAV's messages name the file by it.
        file.name = self.name
        return file


MediaFile = Path | MemoryFile
"""A file that readers open, on disk or in memory."""


def size_of(file: MediaFile) -> int:
    """Return the bytes of a file."""
    return len(file.data) if isinstance(file, MemoryFile) else file.stat().st_size


def is_file_source(value: Any) -> TypeGuard[FileSource]:
    """Return whether a value is a file in one of its forms."""
    is_known = isinstance(value, str | Path | bytes | bytearray | memoryview)
    return is_known or hasattr(value, "read")


def as_file(source: FileSource, name: str) -> MediaFile:
    """Return the file that a path names or that the content makes.

    A file object is read from where it stands to its end.

    Args:
      name: the file in messages, where it has no path.

    Raises:
      ValueError: it is a file object of text.
    """
    if isinstance(source, str | Path):
        return Path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return MemoryFile(name, bytes(source))
    data = source.read()
    if not isinstance(data, bytes):
        raise ValueError(f"{name} is open as text: open it in binary mode")
    return MemoryFile(name, data)
