"""Writing of a motion data set: shards, and statistics of the records that train."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np

from train.data.blocks import encode_clips
from train.data.dataset import DESCRIPTION, Dataset, WindowSplitSize, write_description
from train.data.records import (
    ClipRecord,
    feature_at,
    features_needed,
    sample_at,
    samples_needed,
    shift_closures,
    window_count,
)
from train.data.shards import SPLITS, UNPACKED, Split, SplitSize
from train.prepare.motion.statistics import MotionMoments
from train.prepare.split import Piece, pieces_of
from train.prepare.write import write_splits

SHARD_CLIPS = 512


def write_dataset(
    folder: Path,
    pieces: Sequence[Piece],
    read: Callable[[str], ClipRecord],
    *,
    feature_width: int,
    audio_encoder: str,
    motion_space: str,
) -> Dataset:
    """Write shards, statistics and description; the same pieces give the same bytes.

    Until the description is written, last of all, the folder counts as unfinished.

    Args:
      folder: folder of the data set.
      pieces: pieces in their order on disk; at least one trains.
      read: returns the whole record of a clip.
      feature_width: values of an audio feature.
      audio_encoder: identity of the audio encoder.
      motion_space: space that training uses unless another is named.
    """
    moments = MotionMoments()

    def cut(pieces: Iterable[Piece]) -> Iterator[ClipRecord]:
        for piece in pieces:
            record = cut_record(read(piece.clip), piece)
            # held-out motion must not leak into the statistics, and motion counts once
            if piece.split == "train" and not piece.variant:
                moments.add(record.motion)
            yield record

    def encode(pieces: Iterable[Piece]) -> Iterator[bytes]:
        return encode_clips(cut(pieces))

    sizes = write_splits(folder, DESCRIPTION, pieces, encode, SHARD_CLIPS, UNPACKED)
    dataset = Dataset(
        folder,
        {split: _with_windows(sizes[split], pieces, split) for split in SPLITS},
        feature_width,
        audio_encoder,
        motion_space,
        moments.mean,
        moments.deviation,
    )
    write_description(dataset)
    return dataset


def with_variants(pieces: Sequence[Piece], count: int) -> list[Piece]:
    """Return the pieces, and those that train again for each of `count` augmentations of
    their sound."""
    repeated = []
    for piece in pieces:
        variants = count + 1 if piece.split == "train" else 1
        repeated += [replace(piece, variant=variant) for variant in range(variants)]
    return repeated


def _with_windows(
    size: SplitSize, pieces: Sequence[Piece], split: Split
) -> WindowSplitSize:
    counts = [window_count(piece.frames) for piece in pieces_of(pieces, split)]
    return WindowSplitSize(*astuple(size), windows=sum(counts))


def cut_record(record: ClipRecord, piece: Piece) -> ClipRecord:
    """Return the frames of a piece, with the audio features and sound that cover
    them: those of the clip, or of an augmentation."""
    # Three clocks: frames of motion, audio features, and samples of sound.
    frames = slice(piece.start, piece.stop)
    feature = feature_at(piece.start)
    sample = sample_at(piece.start)
    features = slice(feature, feature + features_needed(piece.frames))
    samples = slice(sample, sample + samples_needed(piece.frames))
    # A record has one sound.
    whole_features, whole_sound = record.features, record.sound
    if piece.variant:
        whole_features = _part(record.augmented_features, piece.variant - 1)
        whole_sound = _part(record.augmented_sound, piece.variant - 1)
    return replace(
        record,
        motion=record.motion[frames],
        features=_part(whole_features, features),
        envelope=record.envelope[frames],
        start=record.start + piece.start,
        sound=_part(whole_sound, samples),
        landmarks=_part(record.landmarks, frames),
        closures=_closures(record, piece),
        augmented_features=None,
        augmented_sound=None,
    )


def _closures(record: ClipRecord, piece: Piece) -> np.ndarray | None:
    """Return the closures that begin within a piece."""
    closures = shift_closures(record.closures, piece.start)
    return None if closures is None else closures[closures[:, 0] < piece.frames]


def _part(array: np.ndarray | None, part: slice | int) -> np.ndarray | None:
    return None if array is None else array[part]
