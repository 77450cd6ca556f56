"""Pieces of motion records, and the statistics of those that train."""

from dataclasses import replace

import numpy as np

from tests.train.data.test_records import record_of
from train.data.records import features_needed
from train.prepare.motion.statistics import MotionMoments
from train.prepare.motion.write import cut_record, with_variants
from train.prepare.split import Piece

PIECE = Piece("a.mp4", "train", 3, 35)


def test_the_features_of_a_piece_cover_its_frames():
    record = record_of("a.mp4", 36)

    part = cut_record(record, PIECE)
    # frame 3 starts feature 5
    features = record.features[5 : 5 + features_needed(32)]
    np.testing.assert_array_equal(part.features, features)

    np.testing.assert_array_equal(part.motion, record.motion[3:35])
    np.testing.assert_array_equal(part.envelope, record.envelope[3:35])
    assert (part.start, part.frames) == (record.start + 3, 32)

    # labels are those of the whole clip, and empty fields stay empty
    assert part.labels == record.labels
    assert part.sound is None
    assert part.landmarks is None
    assert part.closures is None


def test_the_sound_and_landmarks_of_a_piece_cover_its_frames():
    # 36 frames last as long as 19200 samples
    samples = np.arange(19_200, dtype=np.int16)
    points = np.arange(144, dtype=np.float32).reshape(36, 2, 2)
    record = replace(record_of("a.mp4", 36), sound=samples, landmarks=points)
    part = cut_record(record, PIECE)
    # 1600 samples last as long as 3 frames; 32 frames need 17066.7 samples
    np.testing.assert_array_equal(part.sound, samples[1600 : 1600 + 17_067])
    np.testing.assert_array_equal(part.landmarks, points[3:35])


def test_a_variant_of_a_piece_has_the_sound_of_an_augmentation():
    record = record_of("a.mp4", 36)
    # Each augmentation has values of its own.
    features = np.stack([record.features + 1, record.features + 2])
    sounds = np.stack([np.full(19_200, 7), np.full(19_200, 8)])
    record = replace(record, augmented_features=features, augmented_sound=sounds)
    pieces = with_variants([PIECE, replace(PIECE, split="validation")], 2)
    assert [piece.variant for piece in pieces] == [0, 1, 2, 0]

    for piece in pieces[1:3]:
        part = cut_record(record, piece)
        plain = cut_record(record, PIECE)

        # The first adds 1 to every feature,
        # the second 2.
        expected = plain.features + piece.variant
        np.testing.assert_array_equal(part.features, expected)
        assert (part.sound == 6 + piece.variant).all()
        assert len(part.sound) == 17_067
        assert part.augmented_features is None


def test_the_closures_of_a_piece_begin_within_it():
    closures = np.float32([[0, 2], [2, 4.5], [20, 22], [34.5, 40], [36, 40]])
    record = replace(record_of("a.mp4", 60), closures=closures)
    part = cut_record(record, PIECE)
    # the piece starts at frame 3 and ends before 35
    assert part.closures.tolist() == [[-1, 1.5], [17, 19], [31.5, 37]]


def test_moments_keep_small_deviations_on_large_means():
    # deviations of a thousandth on a mean of ten thousand
    noise = np.random.default_rng(0).standard_normal((999, 70))
    values = 1e4 + noise.astype(np.float64) * 1e-3
    moments = MotionMoments()

    for part in np.array_split(values, 13):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.deviation, values.std(axis=0, ddof=1), rtol=1e-8)
