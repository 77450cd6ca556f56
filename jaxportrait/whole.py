"""Files and folders that appear whole or not at all.

Everything that the project writes is written in a partial folder beside its destination
(see `jaxportrait.partial`), brought to the disk, and then renamed. Whoever writes into
a folder first removes what killed runs have left there.
"""

import ctypes
import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxportrait.partial import (
    REPLACED,
    YOUNG_SECONDS,
    Partial,
    lock_folder,
    make_partial,
    remove_leftovers,
    unfinished,
)
from jaxportrait.room import check_room

NO_RIGHT = {errno.EACCES, errno.EPERM, errno.EROFS}
QUOTA = os.strerror(errno.EDQUOT)
CURRENT_FOLDER = -100
"""AT_FDCWD of <fcntl.h>: paths are absolute or relative to the working directory."""
RESERVATION = "0" * 8
"""Code of the partial folder that reserves a destination."""
EXCHANGE = 2
"""RENAME_EXCHANGE of <linux/fs.h>."""
REMOTE = ("s3:", "gs:")
"""Schemes of object stores, where nothing can be renamed."""

_placing = threading.Lock()
"""Held while something gets its final name."""
_last_removals: dict[Path, float] = {}
"""Folder -> time at which leftovers were last removed from it."""


@contextmanager
def write_whole(
    destination: str | Path, *, replace_folder: bool = False, size: int = 0
) -> Iterator[Path]:
    """Yield a place for a file or a folder, which gets its final name at the end.

    If the block raises, nothing is left, and what was at the destination stays.

    Args:
      destination: path of the file or folder; a file there is replaced.
      replace_folder: also replace a folder that is not empty.
      size: bytes that will be written, where that is known.

    Raises:
      FileExistsError: a folder with content is there, and may not be replaced.
      OSError: no room, no right, no folder, an object store's address; the message
        names the path and the lack.
    """
    check_local(destination)
    destination = Path(destination).absolute()
    with disk_errors(destination, destination.parent):
        if not replace_folder:
            _check_folder(destination)
        _remove_leftovers(destination.parent)
        check_room(destination, size)
        partial = make_partial(destination)
        try:
            yield partial.content
            synchronize(partial.content)
            with _placing:
                if not replace_folder:
                    _check_folder(destination)
                _put_in_place(partial)
            _synchronize_one(destination.parent)
            # What was too young before is old enough after a long run.
            _remove_leftovers(destination.parent)
        finally:
            partial.remove()
            partial.free()


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make a folder and hold it, so that no other run writes there meanwhile.

    Raises:
      OSError: another run holds it, it cannot be made, it is an object store's address,
        or the disk lacks room or rights during the block.
    """
    check_local(folder)
    with disk_errors(folder, folder.absolute().parent):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = lock_folder(folder)
    except BlockingIOError as error:
        raise OSError(
            f"{folder} is in use by another run: wait until it ends, or choose another folder"
        ) from error
    try:
        with disk_errors(folder, folder):
            yield
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def reserve(destination: Path) -> Iterator[None]:
    """Keep other runs from a destination that this one is to write after long work.

    Raises:
      OSError: another run has reserved it, or it is an object store's address.
    """
    check_local(destination)
    destination = destination.absolute()
    try:
        with disk_errors(destination, destination.parent):
            destination.parent.mkdir(parents=True, exist_ok=True)
            partial = make_partial(destination, RESERVATION)
    except BlockingIOError as error:
        raise OSError(
            f"{destination} is being written by another run: wait until it ends, or choose another output"
        ) from error
    try:
        yield
    finally:
        partial.remove()
        partial.free()


def abandon_all() -> list[Path]:
    """Remove all that this process is writing, because the process is about to end.

    Nothing gets its final name from then on. Another thread than the writer's may call
    it.

    Returns:
      The destinations of what was removed.
    """
    # Never released: a folder must not be renamed while it is removed.
    _placing.acquire()
    partials = list(unfinished.values())
    for partial in partials:
        partial.remove()
    return sorted({partial.destination for partial in partials})


def check_local(destination: str | Path) -> None:
    """Raise an OSError for an address such as s3://bucket/name, which would become a
    local folder named `s3:`."""
    parts = Path(destination).parts
    for place, part in enumerate(parts):
        if part in REMOTE:
            # `Path` joins the two slashes.
            address = f"{part}//{'/'.join(parts[place + 1 :])}"
            raise OSError(
                f"{address} is no folder of this machine, and an object store cannot rename files: "
                "choose a local folder, and copy it there afterwards"
            )


@contextmanager
def disk_errors(destination: Path, folder: Path) -> Iterator[None]:
    """Turn a disk's error into one that names the destination and what `folder`, which
    is written to, is lacking."""
    try:
        yield
    except (OSError, ValueError) as error:
        lack = _lack(error, folder)
        if lack is None:
            raise
        raise OSError(f"{destination} cannot be written: {lack}") from error


def _lack(error: OSError | ValueError, folder: Path) -> str | None:
    """Return what the disk lacks; None for an error that is not the disk's."""
    number = getattr(error, "errno", None)
    # Orbax raises a ValueError with TensorStore's words.
    message = str(error)
    if number == errno.EDQUOT or QUOTA in message:
        return f"your quota in {folder} is used up; free some, or choose another folder"
    if number == errno.ENOSPC or "RESOURCE_EXHAUSTED" in message:
        return f"no space is left in {folder}; free some, or choose another folder"
    if not folder.is_dir():
        return f"there is no folder {folder}; make it, or choose another"
    if number in NO_RIGHT and not os.access(folder, os.W_OK | os.X_OK):
        return f"you may not write into {folder}; choose another folder"
    return None


def _check_folder(destination: Path) -> None:
    if destination.is_dir() and any(destination.iterdir()):
        raise FileExistsError(
            f"{destination} is a folder that is not empty: choose another name"
        )


def _remove_leftovers(parent: Path) -> None:
    # Folders may hold thousands of files, so this is not done for every one of them.
    time_of_last = _last_removals.get(parent, -YOUNG_SECONDS)
    if time.monotonic() - time_of_last >= YOUNG_SECONDS:
        _last_removals[parent] = time.monotonic()
        remove_leftovers(parent)


def synchronize(path: Path) -> None:
    """Bring a file, or a folder with all that is in it, to the disk."""
    inner = path.rglob("*") if path.is_dir() else ()
    for item in (*inner, path):
        _synchronize_one(item)


def _synchronize_one(path: Path) -> None:
    # Windows opens no folders, and synchronizes only files that are open for writing.
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(partial: Partial) -> None:
    new, destination = partial.content, partial.destination
    is_folder = new.is_dir() and destination.is_dir()
    if not (is_folder and any(destination.iterdir())):
        new.replace(destination)
    elif not _exchange(new, destination):
        # Two renames; what they leave if the process is killed in between,
        # `remove_leftovers` restores.
        old = partial.folder / REPLACED / destination.name
        old.parent.mkdir()
        destination.rename(old)
        try:
            new.rename(destination)
        except BaseException:
            old.rename(destination)
            raise


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; return whether this system can."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, TypeError, OSError):  # not Linux
        return False
    paths = os.fsencode(first), os.fsencode(second)
    status = rename(CURRENT_FOLDER, paths[0], CURRENT_FOLDER, paths[1], EXCHANGE)
    return status == 0
