"""Lengths that files of uncompressed sound state, and programs that write into a pipe
cannot know."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from jaxportrait.media.memory import MediaFile

LEAST_PLACEHOLDER = 2_000_000_000
"""Bytes; programs that write a wave into a pipe state this size or a larger one."""

Chunk = tuple[bytes, int, int]
"""Name, position of the content, stated size."""


def is_complete(path: MediaFile) -> bool:
    """Return whether a file reaches as far as its header states, where it can be told.

    FFmpeg takes the end of a wave or a CAF that states no possible length for a
    truncation. True for those, and False for a file of any other kind.
    """
    with path.open("rb") as file:
        kind = file.read(4)
        if kind == b"RIFF":
            end = _wave_end(file)
        elif kind == b"caff":
            end = _caf_end(file)
        else:
            return False
        return end is None or end <= file.seek(0, 2)


def _wave_end(file: BinaryIO) -> int | None:
    """Return where a wave ends by what it states; None where it cannot know."""
    (riff_size,) = struct.unpack("<I", file.read(4))
    for name, start, size in _chunks(file, 12, "<4sI"):
        if name != b"data":
            continue
        if _is_possible(size):
            return start + size
        # the size of all chunks may be right where that of the samples is not
        end = 8 + riff_size
        return end if _is_possible(riff_size) and end > start else None
    return None


def _caf_end(file: BinaryIO) -> int | None:
    """Return where the samples of a CAF end; None where it states -1 for unknown."""
    for name, start, size in _chunks(file, 8, ">4sq"):
        if name == b"data":
            return start + size if size > 0 else None
    return None


def _is_possible(size: int) -> bool:
    return 0 < size < LEAST_PLACEHOLDER


def _chunks(file: BinaryIO, start: int, header: str) -> Iterator[Chunk]:
    """Yield the chunks of a file from `start` on."""
    length = struct.calcsize(header)
    file.seek(start)
    while len(head := file.read(length)) == length:
        name, size = struct.unpack(header, head)
        content = file.tell()
        yield name, content, size
        # RIFF pads chunks to an even size; CAF does not
        padding = size % 2 if header.startswith("<") else 0
        file.seek(content + max(size, 0) + padding)
