"""Room on a disk, known before anything is written."""

import ctypes
import errno
import os
import shutil
import tempfile
from pathlib import Path

DESCRIPTION_BYTES = 2**20
"""Bytes of names and indices beside arrays; Orbax has files of its own for them."""


def check_room(destination: Path, size: int) -> None:
    """Check that a disk and its quota have room for something that will be written.

    No bytes need no room.

    Args:
      destination: path of the file or folder, whose parent exists.
      size: bytes of arrays or files, without their description.

    Raises:
      OSError: there is less; the message says how much is needed.
    """
    if not size:
        return
    folder = destination.parent
    needed = size + DESCRIPTION_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{destination} cannot be written: it needs {_megabytes(needed)}, and "
            f"{folder} has {_megabytes(free)} left; free some, or choose another folder"
        )
    # Few file systems subtract a quota from what is left.
    if _exceeds_quota(folder, needed):
        raise OSError(
            f"{destination} cannot be written: it needs {_megabytes(needed)}, and "
            f"your quota in {folder} has less left; free some, or choose another folder"
        )


def _exceeds_quota(folder: Path, size: int) -> bool:
    """Return whether a file of this size is refused because of a quota.

    The blocks are only allocated, so this takes no time for any size.
    """
    library = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    # Only Linux has it; the portable function would write every block.
    allocate = getattr(library, "fallocate64", None)
    if allocate is None:
        return False
    # A file without a name, which ends with this process.
    with tempfile.TemporaryFile(dir=folder) as file:
        length = ctypes.c_int64(size)
        status = allocate(file.fileno(), 0, ctypes.c_int64(0), length)
    return status != 0 and ctypes.get_errno() == errno.EDQUOT


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
