"""Clips of frames: their records, and how they are stored.

In format 3 each picture is a record of its own, so that a pair of frames reads two of
them. Records of a shard follow each other clip by clip: a head (everything but the
pictures), and the pictures. The last record of a shard lists the numbers of pictures of
its clips. In formats 1 and 2 a clip is one record.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import cv2
import msgspec
import numpy as np
from jaxtyping import Float32, UInt8

from train.data.landmarks import LandmarkGroups
from train.data.listing import open_listed
from train.data.shards import Content, pack, unpack
from train.data.source import DatasetError, RecordSource

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
      images: JPEG files of square RGB pictures, in order of time; those of a data set
        may be read when they are used.
      landmarks: x and y of the face's points, -1 and 1 being the centres of the first
        and last pixel of the picture; l is 0 for a clip without landmarks, and a frame
        without them is NaN.
      pose: pitch, yaw and roll in degrees as in the truth file; NaN if unknown.
      landmark_groups: groups of the landmarks; empty if unknown.
    """

    clip: str
    subject: str
    images: Sequence[bytes]
    landmarks: Float32[np.ndarray, "frames l 2"]
    pose: Float32[np.ndarray, "frames 3"]
    landmark_groups: LandmarkGroups = field(default_factory=dict)

    @property
    def frames(self) -> int:
        return len(self.images)


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


def encode_clips(clips: Iterable[FrameRecord]) -> Iterator[bytes]:
    """Yield the records of a shard."""
    counts = []
    for clip in clips:
        counts.append(clip.frames)
        # The landmarks of all frames choose a pair before its pictures are read.
        yield encode_record(replace(clip, images=[]))
        yield from clip.images
    yield msgspec.msgpack.encode(counts)


@dataclass(frozen=True)
class StoredPictures(Sequence[bytes]):
    """JPEG files of a clip, each of which is read when it is used.

    Attributes:
      source: records of all shards.
      numbers: numbers of the pictures among the records.
    """

    source: RecordSource
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Read a picture, or several."""
        if isinstance(index, slice):
            return self.source.read(self.numbers[index])
        return self.source[self.numbers[index]]


@dataclass(frozen=True)
class ClipPictures(Sequence[FrameRecord]):
    """The clips of a split of format 3.

    Attributes:
      source: records of all shards.
      counts: number of pictures of every clip.
      heads: number of the head of every clip among the records.
      check: raises a DatasetError unless a clip is as the data set describes it.
    """

    source: RecordSource
    counts: Sequence[int]
    heads: Sequence[int]
    check: Callable[[FrameRecord], None]

    @classmethod
    def open(
        cls, shards: Sequence[Path], check: Callable[[FrameRecord], None]
    ) -> "ClipPictures":
        """Open the shards of a split.

        Raises:
          DatasetError: a shard is damaged.
        """
        listed = open_listed(shards, int, lambda count: 1 + count)
        return cls(*listed, check)

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, number: int) -> FrameRecord:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read a clip, without its pictures until they are used."""
        head = self.heads[number]
        # The pictures follow the head.
        first = head + 1
        numbers = range(first, first + self.counts[number])
        pictures = StoredPictures(self.source, numbers)
        record = replace(decode_record(self.source[head]), images=pictures)
        self.check(record)
        return record
