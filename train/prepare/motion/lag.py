"""Sound that is shifted against the pictures by a constant lag, put right."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxportrait.motion.space import MOTION_FPS
from train.data.records import (
    WINDOW_FRAMES,
    WINDOW_STEP,
    ClipRecord,
    feature_at,
    features_needed,
    sample_at,
    shift_closures,
)
from train.prepare.quality.lips import LIP_RATE

Span = tuple[int, int]


def lag_in_frames(lag: int) -> int:
    """Return a lag of lip readings in frames."""
    return round(lag * MOTION_FPS / LIP_RATE)


def shift_record(record: ClipRecord, lag: int) -> ClipRecord:
    """Return a record whose lips followed the sound by `lag` frames, without the lag."""
    if lag == 0:
        return record
    first, late = _starts(lag)
    # the part that starts later sets the length
    count = record.frames - max(first, late)
    # Slices of one sound, and of each of several.
    feature = feature_at(late)
    features = (..., slice(feature, feature + features_needed(count)), slice(None))
    samples = (..., slice(sample_at(late), None))
    landmarks = record.landmarks
    return replace(
        record,
        motion=record.motion[first : first + count],
        features=record.features[features],
        envelope=record.envelope[late : late + count],
        # records are counted on the sound's clock
        start=record.start + late,
        sound=_part(record.sound, samples),
        landmarks=None if landmarks is None else landmarks[first : first + count],
        # the lips' closures move with them
        closures=shift_closures(record.closures, first),
        augmented_features=_part(record.augmented_features, features),
        augmented_sound=_part(record.augmented_sound, samples),
    )


def _part(array: np.ndarray | None, part: Any) -> np.ndarray | None:
    return None if array is None else array[part]


def shift_spans(spans: Sequence[Span], lag: int, frames: int) -> tuple[Span, ...]:
    """Return the spans of a record's usable frames after `shift_record`.

    Spans start at multiples of 3 frames; those of less than a window are left out.
    """
    first, late = _starts(lag)
    end = frames - max(first, late)
    shifted = []
    for start, stop in spans:
        # rounded up
        begin = -(-max(0, start - first) // WINDOW_STEP) * WINDOW_STEP
        finish = min(end, stop - first)
        if finish - begin >= WINDOW_FRAMES:
            shifted.append((begin, finish))
    return tuple(shifted)


def _starts(lag: int) -> tuple[int, int]:
    """Return the first frame of motion and the first of sound that are used; sound
    starts at a multiple of 3."""
    if lag >= 0:
        return lag, 0
    # |lag| rounded up to 3; motion skips the frames beyond it
    late = -(lag // WINDOW_STEP) * WINDOW_STEP
    return late + lag, late
