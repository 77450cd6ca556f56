"""Records of finished clips, a file each, so that an interrupted run resumes."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from jaxportrait.whole import write_whole
from train.data.clips import Clip
from train.data.shards import unpack
from train.prepare.manifest import Entry
from train.prepare.quality.evidence import Evidence
from train.prepare.recipe import Outcome, Recipe


@dataclass(frozen=True)
class Header(Entry):
    """The first line of a file.

    Attributes:
      record_bytes: length of the record that follows; None in older files.
      evidence_bytes: length of the evidence after the record.
    """

    record_bytes: int | None = None
    evidence_bytes: int = 0


class ClipStore:
    """Outcomes by clip, file state and recipe; a changed file or recipe changes the key.

    Failures are not stored: their cause, such as a lack of memory, may be fixed by the
    next run, which tries those clips again.
    """

    def __init__(self, folder: Path, recipe: Recipe):
        self._folder = folder
        self._recipe = recipe
        self._fingerprint = recipe.fingerprint()
        self._paths: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, clip: Clip) -> Path:
        """Return the file that holds the clip's outcome once it is finished.

        A clip that changes during the run keeps its file.
        """
        if clip.name not in self._paths:
            self._paths[clip.name] = self._folder / f"{self._key(clip)}.clip"
        return self._paths[clip.name]

    def _key(self, clip: Clip) -> str:
        # size and time tell a changed file without reading it
        states = [_state(path) for path in self._recipe.files(clip)]
        facts = [self._fingerprint, clip.name, *states]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def put(self, clip: Clip, outcome: Outcome) -> None:
        """Store an outcome that has a record, whole or not at all: a line of JSON, then
        the record and the evidence."""
        if outcome.record is None:
            return
        lengths = {
            "record_bytes": len(outcome.record),
            "evidence_bytes": len(outcome.evidence),
        }
        header = asdict(outcome.entry) | lengths
        line = json.dumps(header).encode() + b"\n"
        with write_whole(self.path(clip)) as partial:
            partial.write_bytes(line + outcome.record + outcome.evidence)

    def has(self, clip: Clip) -> bool:
        """Tell whether the clip is finished; one whose file is cut is not."""
        path = self.path(clip)
        if not path.is_file():
            return False
        with path.open("rb") as file:
            line = file.readline()
        try:
            header = msgspec.json.decode(line, type=Header)
        except msgspec.DecodeError:
            return False
        # older files state no length to check
        if header.record_bytes is None:
            return True
        # a copied folder may hold files that were cut short
        size = len(line) + header.record_bytes + header.evidence_bytes
        return path.stat().st_size == size

    def entry(self, clip: Clip) -> Entry:
        """Return the manifest's entry of a finished clip."""
        with self.path(clip).open("rb") as file:
            # the lengths are no fields of an Entry, and are skipped
            return msgspec.json.decode(file.readline(), type=Entry)

    def record(self, clip: Clip) -> bytes:
        """Return the packed record of a finished clip."""
        with self.path(clip).open("rb") as file:
            header = msgspec.json.decode(file.readline(), type=Header)
            size = header.record_bytes
            return file.read() if size is None else file.read(size)

    def evidence(self, clip: Clip) -> Evidence:
        """Return the evidence of a finished clip; nothing of an older file's."""
        with self.path(clip).open("rb") as file:
            header = msgspec.json.decode(file.readline(), type=Header)
            if not header.evidence_bytes:
                return Evidence()
            file.seek(header.record_bytes or 0, os.SEEK_CUR)
            return unpack(Evidence, file.read())


def _state(path: Path) -> list[int]:
    """Return size and modification time of a file; nothing for a missing one."""
    if not path.is_file():
        return []
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
