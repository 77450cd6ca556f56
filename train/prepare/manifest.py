"""The manifest: every clip of the source and its fate, one line of JSON each."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxportrait.whole import write_whole

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """The fate of a clip.

    Attributes:
      clip: path of the video below the data set's root.
      subject: name of the speaker.
      emotion: emotion of the clip; empty if unknown.
      level: intensity of the emotion; 0 if unknown.
      frames: frames of the clip's record; 0 if it was left out.
      seconds: part of the clip that they cover.
      checksum: SHA-256 of the files that the record was made of; empty if left out.
      splits: splits that hold a part of the clip; none if it was left out.
      reason: why the clip was left out; empty if it was not.
      remark: flaws of a clip that was not left out; empty if it has none.
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
    remark: str = ""


def write_manifest(folder: Path, entries: Iterable[Entry]) -> None:
    """Write `manifest.jsonl`, whole or not at all."""
    with (
        write_whole(folder / MANIFEST) as partial,
        partial.open("w", encoding="utf-8") as file,
    ):
        for entry in entries:
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
