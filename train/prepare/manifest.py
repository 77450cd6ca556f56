"""The manifest: every clip of the source and its fate, one line of JSON each."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxportrait.whole import write_whole
from train.data.held_out import MANIFEST


@dataclass(frozen=True)
class Entry:
    """The fate of a clip.

    Attributes:
      clip: path of the video below the data set's root.
      subject: name of the speaker.
      emotion: emotion of the clip; empty if unknown.
      level: intensity of the emotion; 0 if unknown.
      frames: usable frames of the clip; 0 if it could not be read.
      seconds: part of the clip that they cover.
      checksum: SHA-256 of the files that the record was made of; empty if the clip could
        not be read.
      splits: splits that hold a part of the clip; none if it was left out.
      reason: why the clip was left out; empty if it was not.
      remark: flaws of a clip that was not left out; empty if it has none.
      pictures: checksum of the pictures, the same in any container.
      sound: checksum of the compressed sound, the same in most containers.
      parts: seconds of the parts that are used, on the file's clock.
      spans: frames of the record that are used; empty for all of them.
      cuts: seconds of scene cuts, jumps of the zoom or the face, and of black parts.
      visibility: share of the clip that shows the face.
      silence: share of the used frames without sound.
      movement: mean difference of the face a fifth of a second apart, of 255 levels.
      black: share of black pictures.
      people: share of the looks that find several faces.
      aspect: width of a pixel over its height.
      identity: largest difference of another shot's face, of the size of a face.
      score: the user's own score.
      lip_sound: correlation of the lips with those that the sound tells.
      lag: frames by which the lips follow the sound; removed by `--fix-lag`.
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
    pictures: str = ""
    sound: str = ""
    parts: tuple[tuple[float, float], ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    cuts: tuple[float, ...] = ()
    visibility: float | None = None
    silence: float | None = None
    movement: float | None = None
    black: float | None = None
    people: float | None = None
    aspect: float | None = None
    identity: float | None = None
    score: float | None = None
    lip_sound: float | None = None
    lag: int | None = None


def write_manifest(folder: Path, entries: Iterable[Entry]) -> None:
    """Write `manifest.jsonl`, whole or not at all."""
    with (
        write_whole(folder / MANIFEST) as partial,
        partial.open("w", encoding="utf-8") as file,
    ):
        for entry in entries:
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
