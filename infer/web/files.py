"""Files of the people on the page: accepted at the door, lent to jobs, then deleted."""

import asyncio
import filecmp
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Self

from infer.jobs import delete
from infer.limits import MIB, Kind, UploadError
from infer.uploads import SUFFIXES, Upload, Uploads, deleted_on_error, join
from jaxportrait import demo

KINDS: tuple[Kind, ...] = tuple(SUFFIXES)
EXAMPLES: dict[Path, Kind] = {demo.PORTRAIT: "picture", demo.SENTENCE: "sound"}
"""Examples of the page, which Gradio copies into its folder."""

MOST_SECONDS = 60.0
"""Seconds between looks at what is stale, at most."""
TOTAL_MEGABYTES = 2048.0
"""Size of all uploads, by default; twenty of the largest."""


@dataclass(frozen=True)
class Input:
    """An input of a job.

    Attributes:
      path: the file.
      upload: the same as an upload, which the job deletes; None for an example.
    """

    path: Path
    upload: Upload | None = None


@dataclass
class Shelf:
    """Uploads that wait for their use.

    A page keeps an upload while a person tries options on it, so that a job works on a
    link of its own. Those that nobody has used for a while are deleted.

    Attributes:
      uploads: the private folder.
      seconds: time after the last use at which an upload is deleted.
      megabytes: size of all uploads together, in units of 2^20 bytes.
      clock: returns seconds.
    """

    uploads: Uploads
    seconds: float
    megabytes: float = TOTAL_MEGABYTES
    clock: Callable[[], float] = time.monotonic
    _files: dict[Path, Upload] = field(default_factory=dict)
    _sizes: dict[Path, int] = field(default_factory=dict)
    _times: dict[Path, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def receive(self, file: BinaryIO, name: str) -> Upload:
        """Store a file of any kind; see `Uploads.receive` and `add` for errors."""
        # What is stale makes room, and a full shelf reads nothing.
        self.sweep()
        with self._lock:
            self._check_room(1)
        upload = self.uploads.receive(file, name, KINDS)
        with deleted_on_error(upload.path):
            self.add(upload)
        return upload

    def add(self, upload: Upload) -> None:
        """Put an upload on the shelf.

        Raises:
          UploadError: there is no room for it.
        """
        size = upload.path.stat().st_size
        with self._lock:
            self._check_room(size)
            self._sizes[upload.path] = size
            self._files[upload.path] = upload
            self._times[upload.path] = self.clock()

    def lend(self, path: str | None, noun: str, kinds: Collection[Kind]) -> Input:
        """Return a file for one job, which deletes it.

        Args:
          path: its place, as the page names it; nothing outside the shelf is found.
          noun: the file in words, for messages.
          kinds: kinds that are accepted.

        Raises:
          UploadError: there is none, or it is of another kind.
        """
        if not path:
            raise UploadError(f"there is no {noun} yet: add one")
        # A key of the shelf, and no more: other paths are not opened.
        place = Path(path)
        with self._lock:
            upload = self._files.get(place)
            if upload is not None:
                self._times[place] = self.clock()
                check_kind(upload.kind, noun, kinds)
                return Input(*self._link(upload))
        example = self._find_example(place)
        if example is None:
            raise UploadError(f"the {noun} is no longer kept: add it again")
        check_kind(EXAMPLES[example], noun, kinds)
        return Input(example)

    def sweep(self) -> None:
        """Delete the uploads that nobody has used for a while."""
        # Jobs in progress have links of their own.
        oldest = self.clock() - self.seconds
        with self._lock:
            stale = [path for path, at in self._times.items() if at < oldest]
            for path in stale:
                self._files.pop(path).delete()
                del self._sizes[path], self._times[path]

    async def keep_swept(self) -> None:
        """Delete stale uploads from time to time, until cancelled."""
        while True:
            await asyncio.sleep(min(self.seconds / 2, MOST_SECONDS))
            self.sweep()

    def _check_room(self, size: int) -> None:
        """Raise an UploadError if a file of `size` bytes is too much."""
        if sum(self._sizes.values()) + size > self.megabytes * MIB:
            raise UploadError(
                f"the page holds {self.megabytes:g} MiB of files, which is its limit: "
                f"try again in {self.seconds / 60:.0f} minutes"
            )

    def _link(self, upload: Upload) -> tuple[Path, Upload]:
        path = self.uploads.place(upload.path.suffix)
        # Two names of one file: neither deletion harms the other.
        os.link(upload.path, path)
        return path, Upload(path, upload.kind, upload.name)

    def _find_example(self, path: Path) -> Path | None:
        """Return the example that Gradio has copied to a path within the folder."""
        folder = self.uploads.folder.resolve()
        # Files elsewhere are not even looked at.
        if folder not in path.resolve().parents or not path.is_file():
            return None
        for example in EXAMPLES:
            if filecmp.cmp(path, example, shallow=False):
                return example
        return None


@dataclass
class Loans:
    """Files that are lent to one job; a context, which deletes them on an error.

    Attributes:
      shelf: the uploads.
      uploads: the files, which the job deletes.
    """

    shelf: Shelf
    uploads: list[Upload] = field(default_factory=list)

    def lend(self, value: object, noun: str, *kinds: Kind) -> Path:
        """Return a file for the job; see `Shelf.lend`.

        Args:
          value: value of a component, as browsers send it.
        """
        loan = self.shelf.lend(path_in(value), noun, kinds)
        if loan.upload is not None:
            self.uploads.append(loan.upload)
        return loan.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            delete(self.uploads)


def path_in(value: object) -> str | None:
    """Return the path in the value of a component; None for an empty one."""
    path = value.get("path") if isinstance(value, Mapping) else None
    return path if isinstance(path, str) else None


def check_kind(kind: Kind, noun: str, kinds: Collection[Kind]) -> None:
    """Raise an UploadError for a file of another kind."""
    if kind not in kinds:
        raise UploadError(
            f"the {noun} is a {kind}, and must be a {join(kinds)}: use another file"
        )
