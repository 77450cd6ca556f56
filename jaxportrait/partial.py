"""Partial folders: places for what is not finished yet, and their removal.

The folder `.NAME.HEX.partial` lies beside the destination NAME. Its writer holds a lock
on it until the work is in place, so that others can tell work in progress from what a
killed run has left behind.
"""

import json
import logging
import os
import platform
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FORM = re.compile(r"\..*\.[0-9a-f]{8}\.partial")
"""Form of a partial folder's name."""
OLD_FORM = re.compile(
    r"\.jaxportrait-[0-9a-f]{8}\.mp4"
    r"|\..*\.[0-9a-f]{8}\.partial\.orbax-checkpoint-tmp"
)
"""Form of the names under which earlier versions wrote, without locks."""
MARK = ".writer.json"
"""File in a partial folder that describes its writer."""
REPLACED = ".replaced"
"""Folder in a partial folder for the destination's former content."""
MOST_NAME_BYTES = 200
"""Bytes of the destination's name, so that the rest fits into the usual 255."""
YOUNG_SECONDS = 10.0
"""A younger partial folder always stays: its writer may be about to lock it."""
OLD_SECONDS = 24 * 3600.0
"""An older one goes where locks say nothing."""
LOCAL_FILE_SYSTEMS = {
    "bcachefs",
    "btrfs",
    "ext2",
    "ext3",
    "ext4",
    "exfat",
    "f2fs",
    "ntfs3",
    "overlay",
    "ramfs",
    "tmpfs",
    "vfat",
    "xfs",
    "zfs",
}
REMOVAL_TRIES = 20
REMOVAL_PAUSE = 0.05  # seconds

log = logging.getLogger("jaxportrait")


@dataclass(frozen=True)
class Partial:
    """A locked partial folder.

    Attributes:
      folder: the folder.
      destination: place of the finished file or folder.
      lock: descriptor that holds the lock; None where there are no locks.
    """

    folder: Path
    destination: Path
    lock: int | None

    @property
    def content(self) -> Path:
        """Place to write at; it bears the final name."""
        return self.folder / self.destination.name

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        # Threads of the writer may still add files.
        for _ in range(REMOVAL_TRIES):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists() or not os.access(self.folder.parent, os.W_OK):
                break
            time.sleep(REMOVAL_PAUSE)

    def free(self) -> None:
        """Free the lock; the folder is no work of this process any more."""
        unfinished.pop(self.folder, None)
        if self.lock is not None:
            os.close(self.lock)


unfinished: dict[Path, Partial] = {}
"""Partial folders that this process has made, from the moment they exist."""


def make_partial(destination: Path, code: str | None = None) -> Partial:
    """Make and lock a partial folder of an absolute path.

    Args:
      destination: place of the finished file or folder.
      code: eight hexadecimal digits in the name, of which there can be one such folder;
        by default they are random.

    Raises:
      BlockingIOError: another process holds the folder of this code.
      OSError: the destination's folder does not exist or cannot be written to.
    """
    # Cut at a character.
    name = os.fsencode(destination.name)[:MOST_NAME_BYTES].decode(errors="ignore")
    folder = destination.with_name(f".{name}.{code or token_hex(4)}.partial")
    partial = Partial(folder, destination, None)
    try:
        folder.mkdir()
        # A signal may come while the folder is being locked.
        unfinished[folder] = partial
    except FileExistsError:
        if code is None:
            raise
    try:
        partial = Partial(folder, destination, lock_folder(folder))
    except OSError:
        unfinished.pop(folder, None)
        raise
    unfinished[folder] = partial
    try:
        _write_mark(partial)
    except BaseException:
        partial.remove()
        partial.free()
        raise
    return partial


def remove_leftovers(parent: Path) -> list[Path]:
    """Remove the partial folders in `parent` whose writers have ended.

    What earlier versions have left there goes when it is older than a day. A line of
    the log names everything that is removed.
    """
    removed = []
    for path in parent.glob(".*"):
        if path.is_symlink():
            continue
        is_folder = FORM.fullmatch(path.name) is not None
        is_old_form = OLD_FORM.fullmatch(path.name) is not None
        if (is_folder and _remove_if_abandoned(path)) or (
            is_old_form and _remove_if_old(path)
        ):
            log.warning("removed %s, left behind by a run that was ended", path)
            removed.append(path)
    return removed


def lock_folder(folder: Path) -> int | None:
    """Lock a folder; return a descriptor, which holds the lock until it is closed.

    Returns None where the platform or the file system has no such locks.

    Raises:
      BlockingIOError: another process holds the lock.
    """
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _write_mark(partial: Partial) -> None:
    # Without a boot id, nobody trusts a lock that is free.
    boot = boot_id() if partial.lock is not None else ""
    mark = {"host": platform.node(), "boot": boot}
    (partial.folder / MARK).write_text(json.dumps(mark), encoding="utf-8")


def _remove_if_abandoned(folder: Path) -> bool:
    try:
        lock = lock_folder(folder)
    except OSError:
        # Its writer is at work, or has just removed it, or it is not ours.
        return False
    try:
        if not _is_abandoned(folder, lock):
            return False
        _restore(folder)
        shutil.rmtree(folder)
    except OSError:
        return False
    finally:
        if lock is not None:
            os.close(lock)
    return True


def _remove_if_old(path: Path) -> bool:
    """Remove a file or a folder unless it was changed within the last day."""
    try:
        if time.time() - _newest_change(path) <= OLD_SECONDS:
            return False
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return False
    return True


def _is_abandoned(folder: Path, lock: int | None) -> bool:
    """Return whether the writer of a folder, whose lock is ours, has ended."""
    if lock is not None and not os.path.samestat(os.fstat(lock), folder.stat()):
        return False
    seconds = time.time() - _newest_change(folder)
    if seconds < YOUNG_SECONDS:
        return False
    if not (folder / MARK).is_file():
        # Its writer was killed before it wrote anything; or it is not a writer of ours.
        return not any(folder.iterdir())
    boot = _boot_of(folder)
    if lock is not None and boot and boot == boot_id() and is_local(folder):
        return True
    return seconds > OLD_SECONDS


def _boot_of(folder: Path) -> str:
    """Return the boot id of a partial folder's writer; "" if unknown."""
    try:
        return json.loads((folder / MARK).read_text(encoding="utf-8"))["boot"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _restore(folder: Path) -> None:
    """Put back what was moved here to be replaced, where nothing has replaced it."""
    replaced = folder / REPLACED
    if replaced.is_dir():
        for old in replaced.iterdir():
            destination = folder.with_name(old.name)
            if not destination.exists():
                old.rename(destination)


def _newest_change(folder: Path) -> float:
    """Return the time at which a file of the folder was last changed."""
    paths = [folder, *folder.rglob("*")]
    return max(path.lstat().st_mtime for path in paths)


def boot_id() -> str:
    """Return the identity of this machine's run since it was started; "" if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def is_local(path: Path) -> bool:
    """Return whether a path lies on a file system that only this machine writes to."""
    path = path.resolve()
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    # The deepest mount that the path lies in; of several there, the last.
    kind, depth = "", 0
    for mount in mounts:
        place, _, source = mount.partition(" - ")
        point = Path(place.split()[4])
        if path.is_relative_to(point) and len(point.parts) >= depth:
            kind, depth = source.split()[0], len(point.parts)
    return kind in LOCAL_FILE_SYSTEMS
