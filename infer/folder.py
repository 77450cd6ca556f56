"""Private folders of servers, which the next start removes after a kill."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from jaxportrait.partial import YOUNG_SECONDS, is_local, lock_folder

PREFIX = "jaxportrait-files-"


class PrivateFolder:
    """A folder that only this user may read, and that ends with the process.

    Its process holds a lock on it, which the system frees even after SIGKILL. Whoever
    makes such a folder removes those whose lock is free.

    Attributes:
      path: its place in the system's folder for temporary files.
    """

    def __init__(self) -> None:
        parent = Path(tempfile.gettempdir())
        remove_stale(parent)
        # Its mode is 0o700, by the contract of mkdtemp.
        self._temporary = tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent)
        self.path = Path(self._temporary.name)
        self._lock = lock_folder(self.path)

    def close(self) -> None:
        """Delete the folder with all that is in it."""
        self._temporary.cleanup()
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def remove_stale(parent: Path) -> None:
    """Remove the private folders in `parent` whose processes have ended."""
    for path in parent.glob(f"{PREFIX}*"):
        try:
            if _may_be_stale(path):
                _remove_unlocked(path)
        except OSError:
            # Somebody else's, or removed meanwhile.
            continue


def _may_be_stale(path: Path) -> bool:
    """Return whether only the lock of a folder may speak against its removal."""
    status = path.lstat()
    # A younger one may be about to be locked, and other machines have other locks.
    is_young = time.time() - status.st_mtime < YOUNG_SECONDS
    return path.is_dir() and not path.is_symlink() and not is_young and is_local(path)


def _remove_unlocked(folder: Path) -> None:
    """Remove a folder unless its process lives; raise an OSError if it does."""
    lock = lock_folder(folder)
    # Without locks nobody knows.
    if lock is None:
        return
    try:
        shutil.rmtree(folder)
    finally:
        os.close(lock)
