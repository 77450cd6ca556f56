"""The contract between `train.frames` and renderer training: what the frames of a clip
are, and where they lie on disk.

A data set of frames is a folder of ArrayRecord shards (see `train.data.pictures`), with
`frames.json` (a description) and `manifest.jsonl` (every clip of the source, with its
fate).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jaxportrait.media.crop import CROP_SIZE
from jaxportrait.ranges import Natural, Range, check_ranges
from train.data.landmarks import LandmarkGroups
from train.data.pictures import (
    ClipPictures,
    FrameRecord,
    decode_image,
    decode_record,
)
from train.data.shards import (
    SPLITS,
    ClipShards,
    Split,
    SplitSize,
    open_clips,
    require_shape,
    write_json,
)

DESCRIPTION = "frames.json"
FORMAT = 3
"""Format of the data sets that are written: a record for each picture."""
READABLE_FORMATS = (1, 2, 3)
"""Formats that are read; 1 and 2 have one record a clip."""

FrameSize = Annotated[int, Range(32, CROP_SIZE)]
"""Side of the pictures in pixels."""
Zoom = Annotated[float, Range(above=0, most=2.2)]
"""A tighter crop than LivePortrait's 2.2 hulls would cut the face itself."""


@dataclass(frozen=True)
class Description:
    """Contents of `frames.json`; see `FrameDataset` for the attributes."""

    format: int
    size: FrameSize
    zoom: Zoom
    landmarks: Natural
    sizes: dict[Split, SplitSize]
    digest: str
    landmark_groups: dict[str, tuple[int, ...]] = field(default_factory=dict)
    detector: str | None = None

    def __post_init__(self) -> None:
        check_ranges(self)
        for name, points in self.landmark_groups.items():
            unknown = [point for point in points if not 0 <= point < self.landmarks]
            if unknown:
                raise ValueError(
                    f"group {name} has landmark {unknown[0]}, and a face {self.landmarks}"
                )


@dataclass(frozen=True)
class FrameDataset(ClipShards[FrameRecord]):
    """A data set of frames on disk.

    Attributes:
      size: side of the pictures in pixels.
      zoom: how many times tighter the faces are cut out than LivePortrait does.
      landmarks: number of points of a face; 0 if no clip has any.
      digest: digest of all records.
      landmark_groups: groups of the landmarks; empty if unknown.
      detector: name of the face detector that the crops were made with; None if it is
        unknown, or where the videos were cropped already.
      format: layout of the shards.
    """

    size: int
    zoom: float
    landmarks: int
    digest: str
    landmark_groups: LandmarkGroups = field(default_factory=dict)
    detector: str | None = None
    format: int = FORMAT

    def records(self, split: Split) -> Sequence[FrameRecord]:
        """Return the clips of a split; of format 3, pictures are read when they are
        used."""
        if self.format == FORMAT:
            return ClipPictures.open(self.shards(split), self.check_shapes)
        return super().records(split)

    def decode(self, data: bytes) -> FrameRecord:
        record = decode_record(data)
        self.check_shapes(record)
        return record

    def check_shapes(self, record: FrameRecord) -> None:
        """Raise a DatasetError unless the arrays of a clip are as described."""
        # a clip may have no landmarks
        has_landmarks = np.size(record.landmarks) > 0
        points = self.landmarks if has_landmarks else 0
        shapes = {
            "landmarks": (record.frames, points, 2),
            "pose": (record.frames, 3),
        }
        for name, shape in shapes.items():
            require_shape(record.clip, name, getattr(record, name), shape)

    def check_record(self, record: FrameRecord) -> None:
        # one picture stands for all: they were cut out at one size
        for data in record.images[:1]:
            shape = (self.size, self.size, 3)
            require_shape(record.clip, "pictures", decode_image(data), shape)

    def provides(self, size: int) -> bool:
        """Tell whether halving the data set's pictures gives pictures of `size`
        pixels."""
        return self.size % size == 0 and (self.size // size).bit_count() == 1

    @property
    def identity(self) -> dict[str, Any]:
        """Facts that tell this data set from others, wherever it lies, as JSON.

        Runs store them, so they are those of format 1.
        """
        return {
            "size": self.size,
            "zoom": self.zoom,
            "landmarks": self.landmarks,
            "sizes": {split: asdict(self.sizes[split]) for split in SPLITS},
            "digest": self.digest,
        }


def write_description(dataset: FrameDataset) -> None:
    """Write `frames.json`, which marks a complete data set."""
    # format 1 ended with the identity
    later = {
        "landmark_groups": dict(dataset.landmark_groups),
        "detector": dataset.detector,
    }
    content = {"format": dataset.format, **dataset.identity, **later}
    write_json(dataset.path / DESCRIPTION, content)


def open_frames(path: str | Path) -> FrameDataset:
    """Open a data set of frames.

    Raises:
      FileNotFoundError: there is no complete data set.
      DatasetError: the data set is damaged, or of an unknown format.
    """
    return open_clips(
        path, DESCRIPTION, "train.frames", Description, READABLE_FORMATS, _make
    )


def _make(path: Path, description: Description) -> FrameDataset:
    return FrameDataset(
        path,
        {split: description.sizes[split] for split in SPLITS},
        description.size,
        description.zoom,
        description.landmarks,
        description.digest,
        description.landmark_groups,
        description.detector,
        description.format,
    )
