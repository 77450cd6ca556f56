"""Clips of format 3: blocks of a second, of which a window reads those it covers.

Records of a shard follow each other clip by clip: a head (everything of the clip that
isn't cut into blocks), its blocks, and the blocks of its sound if there is sound. The
last record of a shard lists its clips.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float16, Float32, Int16

from jaxportrait.motion.space import MOTION_FPS, MOTION_WIDTH
from jaxportrait.ops.spectrogram import FEATURES_PER_SECOND, SAMPLE_RATE
from train.data.listing import open_listed
from train.data.records import (
    ClipRecord,
    decode_record,
    encode_record,
    feature_at,
    features_needed,
    sample_at,
    samples_needed,
)
from train.data.source import DatasetError, RecordSource
from train.data.windows import ClipEntry, Needs, Place, Window

BLOCK_FRAMES = MOTION_FPS
"""Frames of a block: a whole number of features and of samples are as long."""
FRAME_BYTES = MOTION_WIDTH * np.dtype(np.float32).itemsize


def encode_clips(clips: Iterable[ClipRecord]) -> Iterator[bytes]:
    """Yield the records of a shard."""
    entries = []
    for clip in clips:
        entries.append(ClipEntry.of(clip))
        yield from _encode_clip(clip)
    yield msgspec.msgpack.encode(entries)


def _encode_clip(record: ClipRecord) -> Iterator[bytes]:
    # The head keeps the shapes of the arrays, without their values.
    motion, features = record.motion, record.features
    yield encode_record(
        replace(record, motion=motion[:0], features=features[:0], sound=None)
    )
    blocks = range(block_count(record.frames))
    for block in blocks:
        frames = motion[_second(block, MOTION_FPS)]
        yield frames.tobytes() + features[_second(block, FEATURES_PER_SECOND)].tobytes()
    # A stage that reads features only passes over the sound.
    if record.sound is not None:
        for block in blocks:
            yield record.sound[_second(block, SAMPLE_RATE)].tobytes()


def _second(block: int, rate: int) -> slice:
    """Return the values of a block, of which there are `rate` a second."""
    return slice(block * rate, (block + 1) * rate)


def block_count(frames: int) -> int:
    """Return the number of blocks of so many frames; the last one may be shorter."""
    return -(-frames // BLOCK_FRAMES)


def record_count(entry: ClipEntry) -> int:
    """Return the number of records of a clip: head, blocks and blocks of sound."""
    blocks = block_count(entry.frames)
    return 1 + blocks * (2 if entry.has_sound else 1)


@dataclass(frozen=True)
class ClipBlocks(Sequence[ClipRecord]):
    """The clips of a split of format 3, and their windows.

    Attributes:
      source: records of all shards.
      entries: facts about every clip.
      heads: number of the head of every clip among the records.
      feature_width: values of an audio feature.
    """

    source: RecordSource
    entries: Sequence[ClipEntry]
    heads: Sequence[int]
    feature_width: int

    @classmethod
    def open(cls, shards: Sequence[Path], feature_width: int) -> "ClipBlocks":
        """Open the shards of a split.

        Raises:
          DatasetError: a shard is damaged.
        """
        source, entries, heads = open_listed(shards, ClipEntry, record_count)
        return cls(source, entries, heads, feature_width)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: int) -> ClipRecord:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Read a whole clip."""
        entry = self.entries[number]
        (data,) = self.source.read([self.heads[number]])
        place = Place(number, 0, entry.frames)
        (window,) = self.read([place], Needs(sound=entry.has_sound))
        arrays: dict[str, Any] = {"motion": window.motion, "features": window.features}
        return replace(decode_record(data), **arrays, sound=window.sound)

    def read(self, places: Sequence[Place], needs: Needs) -> list[Window]:
        """Read windows; see `WindowReader` for details."""
        # All records of the batch at once: ArrayRecord reads them outside of Python.
        keys = [self._keys(place, needs) for place in places]
        records = iter(self.source.read([key for group in keys for key in group]))
        return [self._window(place, needs, records) for place in places]

    def _keys(self, place: Place, needs: Needs) -> list[int]:
        """Return the numbers of the records of a window."""
        entry = self.entries[place.clip]
        first = self.heads[place.clip] + 1
        blocks = _blocks(place, entry)
        keys = [first + block for block in blocks]
        if needs.sound and entry.has_sound:
            offset = first + block_count(entry.frames)
            keys += [offset + block for block in blocks]
        # The clip's quietest frame may lie anywhere.
        if needs.silence:
            keys.append(first + entry.quietest // BLOCK_FRAMES)
        return keys

    def _window(self, place: Place, needs: Needs, records: Iterator[bytes]) -> Window:
        """Return a window of its records, which are taken from `records`."""
        entry = self.entries[place.clip]
        frames = min(place.stop, entry.frames) - place.start
        count = features_needed(frames)
        motion, features = [], []
        for block in _blocks(place, entry):
            block_motion, block_features = self._decode(entry, block, next(records))
            # Negative where the window begins before the block.
            start = place.start - block * BLOCK_FRAMES
            motion.append(_overlap(block_motion, start, frames))
            features.append(_overlap(block_features, feature_at(start), count))
        # The order of `_keys`.
        sound = self._sound(place, records) if needs.sound else None
        silence = self._silence(entry, next(records)) if needs.silence else None
        return Window(
            entry.clip, place.start, motion, features, entry.labels, sound, silence
        )

    def _sound(
        self, place: Place, records: Iterator[bytes]
    ) -> Int16[np.ndarray, " samples"] | None:
        """Return the sound of a window; None if the clip has none."""
        entry = self.entries[place.clip]
        if not entry.has_sound:
            return None
        count = samples_needed(min(place.stop, entry.frames) - place.start)
        parts = []
        for block in _blocks(place, entry):
            samples = np.frombuffer(next(records), np.int16)
            start = sample_at(place.start - block * BLOCK_FRAMES)
            parts.append(_overlap(samples, start, count))
        return np.concatenate(parts)

    def _silence(self, entry: ClipEntry, data: bytes) -> Float16[np.ndarray, " width"]:
        """Return the feature of a clip's quietest frame, out of the block of it."""
        block, frame = divmod(entry.quietest, BLOCK_FRAMES)
        _, features = self._decode(entry, block, data)
        return features[feature_at(frame)]

    def _decode(
        self, entry: ClipEntry, block: int, data: bytes
    ) -> tuple[Float32[np.ndarray, "n 70"], Float16[np.ndarray, "m width"]]:
        """Return the motion and the features of a block."""
        frames = min(BLOCK_FRAMES, entry.frames - block * BLOCK_FRAMES)
        motion_bytes = frames * FRAME_BYTES
        size = motion_bytes + 2 * features_needed(frames) * self.feature_width
        if len(data) != size:
            raise DatasetError(
                f"clip {entry.clip} has a block of {len(data)} bytes, and the data set describes {size}: "
                "process the videos again"
            )
        motion = np.frombuffer(data, np.float32, frames * MOTION_WIDTH)
        features = np.frombuffer(data, np.float16, offset=motion_bytes)
        return (
            motion.reshape(-1, MOTION_WIDTH),
            features.reshape(-1, self.feature_width),
        )


def _blocks(place: Place, entry: ClipEntry) -> range:
    """Return the numbers of a clip's blocks that a window covers."""
    stop = min(place.stop, entry.frames)
    return range(place.start // BLOCK_FRAMES, block_count(stop))


def _overlap(values: np.ndarray, start: int, count: int) -> np.ndarray:
    """Return those of a block's values that are among the `count` from `start`, which
    is negative where they begin before the block."""
    return values[max(start, 0) : start + count]
