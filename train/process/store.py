"""Records of clips that are done, a file each, so that an interrupted run goes on where it was."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from flax import serialization

from train.process.extract import Outcome
from train.process.layouts import Clip
from train.process.manifest import Entry
from train.records import ClipRecord, decode_record, encode_record


class ClipStore:
    """Outcomes by clip, file state and settings; a changed file or setting is another key.

    Failures are not kept: they are cheap to meet again, and what caused them may have been mended.
    """

    def __init__(self, folder: Path, fingerprint: str):
        self._folder = folder
        self._fingerprint = fingerprint
        self._paths: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.partial"):
            leftover.unlink()

    def path(self, clip: Clip) -> Path:
        """The file that holds the clip's outcome once it is done; a clip that changes while the run lasts keeps it."""
        if clip.name not in self._paths:
            self._paths[clip.name] = self._folder / f"{self._key(clip)}.msgpack"
        return self._paths[clip.name]

    def _key(self, clip: Clip) -> str:
        facts = [self._fingerprint, clip.name, _state(clip.video), _state(clip.sound)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def put(self, clip: Clip, outcome: Outcome) -> None:
        """Keep an outcome that has a record, whole or not at all."""
        if outcome.record is None:
            return
        path = self.path(clip)
        partial = path.with_name(f".{path.name}.partial")
        entry = json.dumps(asdict(outcome.entry))
        partial.write_bytes(serialization.msgpack_serialize({"entry": entry, "record": encode_record(outcome.record)}))
        partial.replace(path)

    def has(self, clip: Clip) -> bool:
        return self.path(clip).is_file()

    def entry(self, clip: Clip) -> Entry:
        return Entry(**json.loads(self._read(clip)["entry"]))

    def record(self, clip: Clip) -> ClipRecord:
        return decode_record(self._read(clip)["record"])

    def _read(self, clip: Clip) -> dict[str, Any]:
        return cast(dict[str, Any], serialization.msgpack_restore(self.path(clip).read_bytes()))


def _state(path: Path) -> list[int]:
    """Size and time of change of a file; nothing for one that is missing."""
    if not path.is_file():
        return []
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
