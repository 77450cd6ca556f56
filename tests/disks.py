"""Small disks of memory, for programs that run out of room."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

SMALL_DISK = """
mkdir -p disk && mount -t tmpfs -o size=$0 none disk && cd disk && "$@"
status=$?
find . -mindepth 1
exit $status
"""
"""Shell program: run a command on a disk of so many bytes, and list what is there."""


def can_mount() -> bool:
    """Return whether this user may mount a disk in a namespace."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def on_small_disk(size: str, command: Sequence[str]) -> list[str]:
    """Return a command that runs another one on an empty disk of a size.

    The folder of the disk is the working folder, and its content is listed at the end.
    """
    # -r: root within the namespace, so that anybody may mount
    return ["unshare", "-rm", "sh", "-c", SMALL_DISK, size, *command]


# status 3: the disk itself could not be made
LIMITED_DISK = """
truncate -s 150M image && mkfs.btrfs -q image >&2 && mkdir -p disk || exit 3
mount -o loop image disk && btrfs quota enable disk || exit 3
btrfs -q subvolume create disk/limited || exit 3
btrfs qgroup limit $0 disk/limited && cd disk/limited || exit 3
"$@"
status=$?
find . -mindepth 1
exit $status
"""
"""Shell program: run a command on a disk with a quota of so many bytes."""


def can_limit() -> bool:
    """Return whether this user may mount a disk with a quota."""
    with tempfile.TemporaryDirectory() as folder:
        command = on_limited_disk("1m", ["true"])
        try:
            result = subprocess.run(
                command, check=False, capture_output=True, cwd=folder
            )
        except OSError:
            return False
    return result.returncode == 0


def on_limited_disk(size: str, command: Sequence[str]) -> list[str]:
    """Return a command that runs another one on a disk with a quota, which root needs
    the tools of Btrfs for; see `on_small_disk`."""
    # the word after a program is its $0: the size
    return ["unshare", "-m", "sh", "-c", LIMITED_DISK, size, *command]


@contextmanager
def only_small_files(size: int) -> Iterator[None]:
    """Let this process write no file of more bytes, as if the disk was full then."""
    import resource  # not on Windows

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
