"""The contract between processing and training: what a processed clip holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float16, Float32, Int16

from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND, SAMPLE_RATE
from train.data.shards import Content, pack, unpack

WINDOW_FRAMES = 30
WINDOW_STEP = 3
"""Windows start at multiples of 3 frames, where an audio feature starts too: 5 features
last as long as 3 frames, and 1600 samples of sound."""

Label = str | int


@dataclass(frozen=True)
class ClipRecord:
    """One clip, or the part of it that belongs to a split.

    Attributes:
      clip: path of the video below the data set's root, with slashes.
      subject: name of the speaker.
      motion: all values of each frame at 30 a second, in the order of `MotionSpace`.
      features: audio features, 50 a second; feature 5 i starts with frame 3 i, and
        every frame is covered.
      envelope: loudness of the sound at each frame, root mean square.
      start: frame of the clip at which the record starts; a multiple of 3.
      labels: conditions of the clip by name, such as its emotion; may be empty.
      sound: 16 kHz sound that covers the frames, or None.
      landmarks: x and y of the face's points in each frame, in [-1, 1] over the crop,
        or None.
      closures: first and last frame of each closure of p, b and m, in fractions of a
        frame from the record's start; None where they are unknown.
      augmented_features: features of k augmentations of the sound, or None; a record of a
        data set has the features of one sound only.
      augmented_sound: these sounds, where `sound` is stored.
    """

    clip: str
    subject: str
    motion: Float32[np.ndarray, "frames 70"]
    features: Float16[np.ndarray, "features width"]
    envelope: Float32[np.ndarray, " frames"]
    start: int = 0
    labels: Mapping[str, Label] = field(default_factory=dict)
    sound: Int16[np.ndarray, " samples"] | None = None
    landmarks: Float32[np.ndarray, "frames l 2"] | None = None
    closures: Float32[np.ndarray, "k 2"] | None = None
    augmented_features: Float16[np.ndarray, "k features width"] | None = None
    augmented_sound: Int16[np.ndarray, "k samples"] | None = None

    @property
    def frames(self) -> int:
        return len(self.motion)

    @property
    def windows(self) -> int:
        return window_count(self.frames)


def window_count(frames: int) -> int:
    """Return how many windows start in a clip of `frames` frames."""
    return max(0, (frames - WINDOW_FRAMES) // WINDOW_STEP + 1)


def features_needed(frames: int) -> int:
    """Return how many audio features cover `frames` frames."""
    # rounded up: the last frame is covered
    return -(-frames * FEATURES_PER_SECOND // MOTION_FPS)


def feature_at(frame: int) -> int:
    """Return the audio feature that starts with `frame`, a multiple of 3."""
    return frame * FEATURES_PER_SECOND // MOTION_FPS


def samples_needed(frames: int) -> int:
    """Return how many samples of a record's sound cover `frames` frames."""
    # rounded up: the last frame is covered
    return -(-frames * SAMPLE_RATE // MOTION_FPS)


def sample_at(frame: int) -> int:
    """Return the sample of sound that starts with `frame`, a multiple of 3."""
    return frame * SAMPLE_RATE // MOTION_FPS


def shift_closures(
    closures: Float[np.ndarray, "k 2"] | None, frames: int
) -> Float32[np.ndarray, "k 2"] | None:
    """Return the closures of a record that starts so many frames later; those before
    its start are left out."""
    if closures is None:
        return None
    later = closures - frames
    return later[later[:, 1] >= 0].astype(np.float32)


def encode_record(record: ClipRecord) -> bytes:
    """Return a record as MessagePack; equal records give equal bytes."""
    return pack(record)


def decode_record(data: bytes) -> ClipRecord:
    """Return the record that `encode_record` stored; its arrays are read-only.

    Raises:
      DatasetError: the bytes are not such a record.
    """
    return unpack(ClipRecord, data, _upgrade)


def _upgrade(content: Content) -> Content:
    """Turn the fields of format 1, where emotion and level stood beside the arrays, into
    those of format 2."""
    # bytes that are no mapping raise a TypeError here
    fields = dict(content)
    if "emotion" in fields:
        emotion, level = fields.pop("emotion"), fields.pop("level", 0)
        fields["labels"] = clip_labels(emotion, level)
    return fields


def clip_labels(emotion: str, level: int) -> dict[str, Label]:
    """Return the labels of a clip's emotion and its level; none if it is unknown."""
    return {"emotion": emotion, "level": level} if emotion else {}
