"""Sound that is shifted against the pictures, put right."""

import numpy as np
import pytest

from train.data.records import ClipRecord, feature_at, features_needed
from train.prepare.motion.lag import lag_in_frames, shift_record, shift_spans

FRAMES = 120


def record_of(lag: int) -> ClipRecord:
    """Return a record whose motion at a frame is that of the sound `lag` frames
    before; all values are the frame of the event that they show."""
    frames = np.arange(FRAMES, dtype=np.float32)
    features = np.arange(features_needed(FRAMES), dtype=np.float16)
    motion = np.repeat(frames[:, None] - lag, 70, axis=1)
    # lips that the sound shuts at frame 60
    closures = np.float32([[60 + lag, 63 + lag]])
    return ClipRecord(
        "a",
        "a",
        motion,
        features[:, None],
        frames,
        start=30,
        sound=np.repeat(np.arange(FRAMES // 3, dtype=np.int16), 1600),
        closures=closures,
        # two augmentations
        augmented_features=np.stack([features, -features])[..., None],
    )


@pytest.mark.parametrize("lag", [-7, -6, -5, 0, 5, 6, 7, 18])
def test_a_record_is_in_time_without_its_lag(lag):
    record = shift_record(record_of(lag), lag)
    # motion and loudness of a frame are those of the same event
    assert np.array_equal(record.motion[:, 0], record.envelope)
    # little is lost at the ends
    assert record.frames == len(record.envelope) >= FRAMES - abs(lag) - 3
    shut = int(record.closures[0, 0])
    assert record.envelope[shut] == 60
    # features begin there
    assert record.start % 3 == 0

    # the features begin with the record, and cover it
    first = int(record.envelope[0])
    assert record.features[0, 0] == feature_at(first)
    assert len(record.features) == features_needed(record.frames)
    assert 3 * record.sound[0] == first
    # an augmentation is shifted like the sound
    same, negative = record.augmented_features
    np.testing.assert_array_equal(same, record.features)
    np.testing.assert_array_equal(negative, -record.features)


def test_spans_move_with_the_motion():
    spans = [(0, 60), (72, 120)]
    assert shift_spans(spans, 6, FRAMES) == ((0, 54), (66, 114))

    # the sound starts six frames later, and the motion one
    assert shift_spans([(0, 60)], -5, FRAMES) == ((0, 59),)

    # a window is left of each span, or nothing
    assert shift_spans([(0, 33), (60, 90)], 6, FRAMES) == ((54, 84),)


def test_lags_of_readings_are_lags_of_frames():
    # 25 readings last as long as 30 frames
    frames = [lag_in_frames(lag) for lag in (-5, 0, 5, 10)]
    assert frames == [-6, 0, 6, 12]
