"""Records of clips that are done, a file each, so that an interrupted run goes on where
it was."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from train.data.clips import Clip
from train.prepare.manifest import Entry
from train.prepare.recipe import Outcome, Recipe


class ClipStore:
    """Outcomes by clip, file state and recipe; a changed file or recipe is another key.

    Failures are not kept: what caused them, such as a lack of memory, may have been
    mended. The next run meets them again, and looks once more for the face that a clip
    does not show.
    """

    def __init__(self, folder: Path, recipe: Recipe):
        self._folder = folder
        self._recipe = recipe
        self._fingerprint = recipe.fingerprint()
        self._paths: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.partial"):
            leftover.unlink()

    def path(self, clip: Clip) -> Path:
        """The file that holds the clip's outcome once it is done; a clip that changes
        while the run lasts keeps it."""
        if clip.name not in self._paths:
            self._paths[clip.name] = self._folder / f"{self._key(clip)}.clip"
        return self._paths[clip.name]

    def _key(self, clip: Clip) -> str:
        facts = [self._fingerprint, clip.name, *map(_state, self._recipe.files(clip))]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def put(self, clip: Clip, outcome: Outcome) -> None:
        """Keep an outcome that has a record, whole or not at all: a line of JSON, then
        the record."""
        if outcome.record is None:
            return
        path = self.path(clip)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(
            json.dumps(asdict(outcome.entry)).encode() + b"\n" + outcome.record
        )
        partial.replace(path)

    def has(self, clip: Clip) -> bool:
        return self.path(clip).is_file()

    def entry(self, clip: Clip) -> Entry:
        with self.path(clip).open("rb") as file:
            return Entry(**json.loads(file.readline()))

    def record(self, clip: Clip) -> bytes:
        """The packed record."""
        with self.path(clip).open("rb") as file:
            file.readline()
            return file.read()


def _state(path: Path) -> list[int]:
    """Size and time of change of a file; nothing for one that is missing."""
    if not path.is_file():
        return []
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
