"""The manifest: every clip that was seen, and what became of it, a line of JSON
each."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """What became of a clip.

    Attributes:
      clip: path of its video below the data set's root.
      frames: of its record; 0 if it was left out.
      seconds: of the clip that they cover.
      checksum: SHA-256 of the files it was made of; empty if it was left out.
      splits: in which it is; none if it was left out.
      reason: why it was left out; empty if it was not.
    """

    clip: str
    subject: str
    emotion: str
    level: int
    frames: int
    seconds: float
    checksum: str
    splits: tuple[str, ...] = ()
    reason: str = ""


def write_manifest(folder: Path, entries: Iterable[Entry]) -> None:
    """Write `manifest.jsonl`."""
    partial = folder / f".{MANIFEST}.partial"
    with partial.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
    partial.replace(folder / MANIFEST)
