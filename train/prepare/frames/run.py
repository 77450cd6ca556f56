"""A run: videos -> frames of their clips, as a data set for renderer training."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro
from rich.console import Console

from train.data.frames import DESCRIPTION, FrameDataset, write_description
from train.data.landmarks import LandmarkGroups
from train.data.pictures import FrameRecord, decode_record, encode_clips, encode_record
from train.data.shards import UNPACKED, DatasetError, SplitSize
from train.prepare.frames.extract import FrameRecipe
from train.prepare.gather import gather
from train.prepare.manifest import Entry
from train.prepare.options import ClipOptions
from train.prepare.report import Facts
from train.prepare.split import Piece
from train.prepare.write import write_splits

SHARD_CLIPS = 128  # a clip is near to a megabyte


@dataclass(frozen=True, kw_only=True)
class Options(ClipOptions):
    """Cut faces out of videos, to train a renderer on. An interrupted run resumes when
    it is started again.

    Attributes:
      recipe: choice of frames, and their crop.
    """

    recipe: tyro.conf.OmitArgPrefixes[FrameRecipe] = field(default_factory=FrameRecipe)


def make_frames(options: Options, console: Console) -> tuple[FrameDataset, list[Entry]]:
    """Cut out the frames of the missing clips, and write the data set of all.

    Raises:
      ValueError, OSError: an error of the whole job; a clip's own error is in its
        entry.
    """
    with gather(options, options.recipe, console) as records:
        dataset = write_frames(
            options.output_path,
            records.pieces,
            lambda name: decode_record(records.read(name)),
            options.recipe,
        )
    return dataset, records.entries


@dataclass
class Landmarks:
    """Landmarks of the records so far; all records that have any have the same.

    Attributes:
      count: points of a face; 0 if no record has any.
      groups: groups of the points; empty if unknown.
    """

    count: int = 0
    groups: LandmarkGroups = field(default_factory=dict)

    def add(self, record: FrameRecord) -> None:
        """Add the landmarks of a record; raise a DatasetError if they differ."""
        count = record.landmarks.shape[1]
        if count == 0:
            return
        if self.count and count != self.count:
            least, most = sorted((self.count, count))
            raise DatasetError(
                f"some clips have {least} landmarks and others {most}: process them apart, by --subjects"
            )
        if self.groups and record.landmark_groups not in ({}, self.groups):
            raise DatasetError(
                f"the landmarks of {record.clip} are grouped otherwise than those before it: "
                "process them apart, by --subjects"
            )
        self.count = count
        # old truth files name no groups, and new ones beside them do
        self.groups = self.groups or record.landmark_groups


def write_frames(
    folder: Path,
    pieces: Sequence[Piece],
    read: Callable[[str], FrameRecord],
    recipe: FrameRecipe,
) -> FrameDataset:
    """Write shards and description; the same pieces give the same bytes.

    Args:
      folder: folder of the data set.
      pieces: pieces in their order on disk.
      read: returns the whole record of a clip.
      recipe: recipe of the frames.

    Raises:
      DatasetError: the clips' landmarks differ in number or groups.
    """
    # The identity of the data set is that of all its records.
    digest = hashlib.sha256()
    landmarks = Landmarks()

    # Called once a piece, in the order of the shards.
    def cut(piece: Piece) -> FrameRecord:
        record = cut_frames(read(piece.clip), piece)
        landmarks.add(record)
        digest.update(encode_record(record))
        return record

    def encode(pieces: Iterable[Piece]) -> Iterator[bytes]:
        return encode_clips(map(cut, pieces))

    sizes = write_splits(folder, DESCRIPTION, pieces, encode, SHARD_CLIPS, UNPACKED)
    dataset = FrameDataset(
        folder,
        sizes,
        recipe.size,
        recipe.zoom,
        landmarks.count,
        digest.hexdigest()[:16],
        landmarks.groups,
        recipe.crop_detector(),
    )
    write_description(dataset)
    return dataset


def cut_frames(record: FrameRecord, piece: Piece) -> FrameRecord:
    """Return the frames of a piece."""
    part = slice(piece.start, piece.stop)
    # Everything that has a frame axis is cut alike.
    return replace(
        record,
        images=record.images[part],
        landmarks=record.landmarks[part],
        pose=record.pose[part],
    )


def facts(dataset: FrameDataset) -> Facts:
    """Return the facts about the splits for the table at the end."""
    landmarks = str(dataset.landmarks)
    return {split: _facts_of(size, landmarks) for split, size in dataset.sizes.items()}


def _facts_of(size: SplitSize, landmarks: str) -> Mapping[str, str]:
    return {
        "clips": str(size.clips),
        "frames": str(size.frames),
        "landmarks": landmarks,
    }
