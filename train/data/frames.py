"""The contract between `train.frames` and renderer training: what the frames of a clip
are, and where they lie on disk.

A data set of frames is a folder of ArrayRecord shards, one record a clip, with
`frames.json` (what it is) and `manifest.jsonl` (every clip seen, and what became of
it).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from train.data.shards import (
    SPLITS,
    ClipShards,
    DatasetError,
    Split,
    SplitSize,
    pack,
    read_description,
    reading,
    require_complete,
    unpack,
    write_json,
)

FORMAT = 1
DESCRIPTION = "frames.json"

JPEG_QUALITY = 95
JPEG_OPTIONS = (
    *(cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY),
    *(
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ),  # lips are thin and red
)


@dataclass(frozen=True)
class FrameRecord:
    """Frames of one clip, cut out by one square, or those of them which belong to a
    split.

    Attributes:
      clip: path of its video below the data set's root, with slashes.
      subject: who is seen.
      images: JPEG files of square RGB pictures, in order of time.
      landmarks: x and y of the face's points, -1 and 1 being the centres of the first
        and last pixel of the picture; l is 0 where none are known of the clip, and a
        frame without them is NaN.
      pose: pitch, yaw and roll in degrees as the truth file has them; NaN where they
        are unknown.
    """

    clip: str
    subject: str
    images: list[bytes]
    landmarks: Float32[np.ndarray, "frames l 2"]
    pose: Float32[np.ndarray, "frames 3"]

    @property
    def frames(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class FrameDataset(ClipShards[FrameRecord]):
    """A data set of frames on disk.

    Attributes:
      size: side of the pictures in pixels.
      zoom: how many times tighter the faces are cut out than LivePortrait does.
      landmarks: points of a face; 0 where none are known of any clip.
      digest: of all records.
    """

    size: int
    zoom: float
    landmarks: int
    digest: str

    @staticmethod
    def decode(data: bytes) -> FrameRecord:
        return decode_record(data)

    def gives(self, size: int) -> bool:
        """Whether pictures of `size` pixels can be had by halving those of the data
        set."""
        return self.size % size == 0 and (self.size // size).bit_count() == 1

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this data set from others, wherever it lies, as JSON keeps it."""
        return {
            "size": self.size,
            "zoom": self.zoom,
            "landmarks": self.landmarks,
            "sizes": {split: asdict(self.sizes[split]) for split in SPLITS},
            "digest": self.digest,
        }


def encode_record(record: FrameRecord) -> bytes:
    """A record as MessagePack; equal records give equal bytes."""
    return pack(record)


def decode_record(data: bytes) -> FrameRecord:
    """The record that `encode_record` wrote, its pictures still JPEG; its arrays are
    read-only.

    Raises:
      DatasetError: bytes that are no such record.
    """
    return unpack(FrameRecord, data)


def encode_image(image: UInt8[np.ndarray, "s s 3"]) -> bytes:
    """An RGB picture as JPEG, its colours at full resolution."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), JPEG_OPTIONS)
    return data.tobytes()


def decode_image(data: bytes) -> UInt8[np.ndarray, "s s 3"]:
    """The RGB picture of a JPEG file.

    Raises:
      DatasetError: it is damaged.
    """
    image = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    )
    if image is None:
        raise DatasetError(
            f"a picture of {len(data)} bytes is no JPEG: process the videos again"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_description(dataset: FrameDataset) -> None:
    """Write `frames.json`, by which a data set is known to be complete."""
    write_json(dataset.path / DESCRIPTION, {"format": FORMAT, **dataset.identity})


def open_frames(path: str | Path) -> FrameDataset:
    """Open a data set of frames.

    Raises:
      FileNotFoundError: there is none that is complete.
      DatasetError: damaged, or of another format.
    """
    path = Path(path)
    require_complete(path, DESCRIPTION, "train.frames")
    with reading(path):
        description = read_description(path / DESCRIPTION, FORMAT)
        sizes: dict[Split, SplitSize] = {
            split: SplitSize(**description["sizes"][split]) for split in SPLITS
        }
        dataset = FrameDataset(
            path,
            sizes,
            *(description[name] for name in ("size", "zoom", "landmarks", "digest")),
        )
    dataset.require_shards()
    return dataset
