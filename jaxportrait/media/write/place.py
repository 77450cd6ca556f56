"""The place of a clip on disk: checked before, and filled whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxportrait.media.write.containers import NUMBER, choose_container
from jaxportrait.whole import check_local, write_whole

MAX_NAME_BYTES = 255
"""Bytes of the longest name of a file, on all usual file systems."""


def check_place(path: Path) -> None:
    """Check that a clip can be put at `path`, whose folder may be missing yet.

    Raises:
      OSError: something else is there, the name is too long, or it is an object store's
        address.
    """
    check_local(path)
    for name in path.parts:
        if len(os.fsencode(name)) > MAX_NAME_BYTES:
            raise OSError(
                f"the name {name} is longer than {MAX_NAME_BYTES} bytes: choose a shorter one"
            )
    if choose_container(path).is_folder:
        _check_pictures(path)
    elif path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: pass the name of a file in it")


def _check_pictures(path: Path) -> None:
    """Check that a folder holds nothing but an earlier clip's pictures."""
    folder = path.parent
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is a file: choose a new folder for the pictures"
        )
    for entry in folder.iterdir():
        if not _is_numbered(entry.name, path.name):
            raise FileExistsError(
                f"{folder} holds {entry.name}, no picture of a clip: choose a new folder"
            )


def _is_numbered(name: str, pattern: str) -> bool:
    before, after = NUMBER.split(pattern)
    number = name.removeprefix(before).removesuffix(after)
    return name == f"{before}{number}{after}" and number.isdecimal()


def final_place(path: Path) -> Path:
    """Return the file, or the folder of numbered pictures, that a clip becomes."""
    return path.parent if choose_container(path).is_folder else path


def shorten(name: str, most: int) -> str:
    """Cut a name to so many bytes, at a character."""
    while len(os.fsencode(name)) > most:
        name = name[:-1]
    return name


@contextmanager
def fill(path: Path) -> Iterator[Path]:
    """Yield a name to write a clip under; the clip appears at `path` when the block has
    ended without an error."""
    place = final_place(path)
    is_folder = place != path
    with write_whole(place, replace_folder=is_folder) as unfinished:
        if is_folder:
            unfinished.mkdir()
            yield unfinished / path.name
        else:
            yield unfinished
