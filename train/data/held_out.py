"""Clips that one data set of a mixture holds out for validation, and another one trains
on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import msgspec

from train.data.shards import DatasetError, Split, damage_reported

MANIFEST = "manifest.jsonl"
"""File of a data set that lists the clips of its source."""


@dataclass(frozen=True)
class SourceClip:
    """The facts of a manifest's line by which a clip is known in any data set.

    Attributes:
      clip: path of the video below the root of the source.
      subject: name of the speaker.
      splits: splits that hold a part of the clip.
      checksum: checksum of the clip's files; empty if it could not be read.
      pictures: checksum of its pictures, the same in any container; may be empty.
    """

    clip: str
    subject: str
    splits: tuple[Split, ...] = ()
    checksum: str = ""
    pictures: str = ""

    @property
    def contents(self) -> set[str]:
        """Checksums of the clip, each of which tells it from others."""
        return {self.checksum, self.pictures} - {""}


def check_held_out(folders: Sequence[Path]) -> None:
    """Raise a DatasetError if a data set trains on a clip that another one holds out.

    Clips are compared by their contents, since names say little about clips of another
    source. A data set without a manifest is not compared.
    """
    clips = {folder: read_manifest(folder) for folder in folders}
    # Each set may train on what the other holds out.
    for holding, training in permutations(folders, 2):
        held_out: set[str] = set()
        for clip in clips[holding]:
            if "validation" in clip.splits:
                held_out |= clip.contents
        shared = [
            clip
            for clip in clips[training]
            if "train" in clip.splits and clip.contents & held_out
        ]
        if shared:
            first = shared[0]
            raise DatasetError(
                f"{training} trains on {first.clip}, which {holding} holds out (such clips: {len(shared)}): process "
                f"the videos of one with the other's validation subjects held out (here {first.subject}), or "
                "without these clips"
            )


def read_manifest(folder: Path) -> list[SourceClip]:
    """Return the clips of a data set's source; none if there is no manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        return []
    # One line of JSON a clip; the other columns are not read.
    with damage_reported(path):
        lines = path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=SourceClip) for line in lines]
