"""The contract between `train.frames` and renderer training: what the frames of a clip
are, and where they lie on disk.

A data set of frames is a folder of ArrayRecord shards, one record a clip, with
`frames.json` (a description) and `manifest.jsonl` (every clip of the source, with its
fate).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from jaxportrait.media.crop import CROP_SIZE
from jaxportrait.ranges import Natural, Range, check_ranges
from train.data.landmarks import LandmarkGroups
from train.data.shards import (
    SPLITS,
    ClipShards,
    Content,
    DatasetError,
    Split,
    SplitSize,
    open_clips,
    pack,
    require_shape,
    unpack,
    write_json,
)

DESCRIPTION = "frames.json"
FORMAT = 2
"""Format of the descriptions and records that are written."""
READABLE_FORMATS = (1, 2)
"""Formats that are read; older ones are upgraded on reading."""

FrameSize = Annotated[int, Range(32, CROP_SIZE)]
"""Side of the pictures in pixels."""
Zoom = Annotated[float, Range(above=0, most=2.2)]
"""A tighter crop than LivePortrait's 2.2 hulls would cut the face itself."""

JPEG_QUALITY = 95
# full resolution of colour: lips are thin and red
JPEG_OPTIONS = (
    cv2.IMWRITE_JPEG_QUALITY,
    JPEG_QUALITY,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


@dataclass(frozen=True)
class FrameRecord:
    """Frames of one clip, cut out by one square, or those of a split.

    Attributes:
      clip: path of the video below the data set's root, with slashes.
      subject: name of the person.
      images: JPEG files of square RGB pictures, in order of time.
      landmarks: x and y of the face's points, -1 and 1 being the centres of the first
        and last pixel of the picture; l is 0 for a clip without landmarks, and a frame
        without them is NaN.
      pose: pitch, yaw and roll in degrees as in the truth file; NaN if unknown.
      landmark_groups: groups of the landmarks; empty if unknown.
    """

    clip: str
    subject: str
    images: list[bytes]
    landmarks: Float32[np.ndarray, "frames l 2"]
    pose: Float32[np.ndarray, "frames 3"]
    landmark_groups: LandmarkGroups = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return len(self.images)


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
    """

    size: int
    zoom: float
    landmarks: int
    digest: str
    landmark_groups: LandmarkGroups = field(default_factory=dict)
    detector: str | None = None

    def decode(self, data: bytes) -> FrameRecord:
        record = decode_record(data)
        # a clip may have no landmarks
        has_landmarks = np.size(record.landmarks) > 0
        points = self.landmarks if has_landmarks else 0
        shapes = {
            "landmarks": (record.frames, points, 2),
            "pose": (record.frames, 3),
        }
        for name, shape in shapes.items():
            require_shape(record.clip, name, getattr(record, name), shape)
        return record

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


def encode_record(record: FrameRecord) -> bytes:
    """Return a record as MessagePack; equal records give equal bytes."""
    return pack(record)


def decode_record(data: bytes) -> FrameRecord:
    """Return the record that `encode_record` stored, its pictures still JPEG; its arrays
    are read-only.

    Raises:
      DatasetError: the bytes are not such a record.
    """
    return unpack(FrameRecord, data, _with_tuples)


def _with_tuples(content: Content) -> Content:
    """Turn MessagePack's lists of landmarks back into tuples."""
    fields = dict(content)
    groups: Mapping[str, list[int]] = fields.get("landmark_groups", {})
    fields["landmark_groups"] = {name: tuple(groups[name]) for name in groups}
    return fields


def encode_image(image: UInt8[np.ndarray, "s s 3"]) -> bytes:
    """Return an RGB picture as JPEG, its colours at full resolution."""
    # OpenCV's colours are BGR
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), JPEG_OPTIONS)
    return data.tobytes()


def decode_image(data: bytes) -> UInt8[np.ndarray, "s s 3"]:
    """Return the RGB picture of a JPEG file.

    Raises:
      DatasetError: the file is damaged.
    """
    encoded = np.frombuffer(data, np.uint8)
    # OpenCV raises an error of its own for no bytes at all
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise DatasetError(
            f"a picture of {len(data)} bytes is no JPEG: process the videos again"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_description(dataset: FrameDataset) -> None:
    """Write `frames.json`, which marks a complete data set."""
    # format 1 ended with the identity
    later = {
        "landmark_groups": dict(dataset.landmark_groups),
        "detector": dataset.detector,
    }
    content = {"format": FORMAT, **dataset.identity, **later}
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
    )
