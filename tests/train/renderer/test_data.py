"""Pairs of frames, in batches."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.train.batches import check_rounds, check_shares
from tests.train.frames import SIZE, make_frames, record_of
from train.data.batches import Rows
from train.data.frames import FrameDataset
from train.data.pictures import FrameRecord
from train.data.shards import DatasetError, SplitSize
from train.renderer.data import (
    Contrast,
    PairDraw,
    batches,
    describe,
    pairs,
    validation_batches,
)

TRAIN_CLIPS, POINTS = 5, 4


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> FrameDataset:
    return make_frames(
        tmp_path_factory.mktemp("data") / "frames", train=TRAIN_CLIPS, points=POINTS
    )


def test_a_pair_is_two_frames_with_their_landmarks_and_pose(dataset: FrameDataset):
    batch = next(batches(dataset, 0, Rows(40)))
    assert (batch["source_frame"] != batch["driving_frame"]).all()
    # The first clip has no landmarks.
    has_landmarks = batch["clip"] > 0
    for role in ("source", "driving"):
        frame = batch[f"{role}_frame"]
        pictures = batch[role]
        assert pictures.shape == (40, SIZE, SIZE, 3)
        assert pictures.dtype == np.uint8
        # The level of a picture is ten times its number.
        levels = pictures.mean((1, 2, 3))
        np.testing.assert_allclose(levels, 10 * frame, atol=1)
        # So are all values of its pose and landmarks.
        pose = np.tile(np.float32(frame)[:, None], (1, 3))
        np.testing.assert_array_equal(batch[f"{role}_pose"], pose)
        points = batch[f"{role}_landmarks"]
        assert points.shape == (40, POINTS, 2)
        assert np.isnan(points[~has_landmarks]).all()
        x = points[has_landmarks, 0, 0]
        np.testing.assert_array_equal(x, frame[has_landmarks])


def frames_of(draw: PairDraw, record: FrameRecord, count: int) -> list[tuple[int, int]]:
    """Draw pairs of frames of one clip."""
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(count):
        sample = draw.pair(0, record, rng)
        source = int(sample["source_frame"])
        driving = int(sample["driving_frame"])
        frames.append((source, driving))
    return frames


def test_every_pair_of_frames_is_drawn():
    drawn = frames_of(PairDraw(POINTS), record_of("a", 3), 60)
    assert set(drawn) == set(itertools.permutations(range(3), 2))


@pytest.mark.parametrize(
    ("contrast", "share", "tolerance"),
    [
        (Contrast(), 0.2, 0.06),
        (Contrast(0.5, ((0, 1),)), 0.6, 0.08),
        (Contrast(1.0, ((0, 1),)), 1.0, 0.0),
        # Landmarks 2 and 3 stand still.
        (Contrast(1.0, ((2, 3),)), 0.2, 0.06),
    ],
)
def test_contrast_draws_pairs_by_the_difference_of_a_gap(contrast, share, tolerance):
    record = record_of("a", 10)
    # A blink: the gap of landmarks 0 and 1 differs in one frame of ten.
    record.landmarks[7, 1] += 1.0
    pairs = frames_of(PairDraw(POINTS, contrast), record, 400)
    blinks = np.mean([7 in pair for pair in pairs])
    assert blinks == pytest.approx(share, abs=tolerance)


def test_contrast_needs_no_landmarks():
    contrast = Contrast(1.0, ((0, 1),))
    draw = PairDraw(POINTS, contrast)
    # Landmarks are unknown, or there are none.
    unknown = np.full((4, POINTS, 2), np.nan, np.float32)
    hidden = replace(record_of("a", 4), landmarks=unknown)
    bare = record_of("a", 4, points=0)
    for record in (bare, hidden):
        ((source, driving),) = frames_of(draw, record, 1)
        assert source != driving


def test_every_clip_is_seen_once_in_each_round_in_another_order(dataset: FrameDataset):
    clips = next(batches(dataset, 0, Rows(4 * TRAIN_CLIPS)))["clip"]
    check_rounds(clips, TRAIN_CLIPS, rounds=4)


def test_processes_share_out_the_same_global_batches(dataset: FrameDataset):
    whole = batches(dataset, 3, Rows(6))
    first = batches(dataset, 3, Rows(6, process=0, processes=2))
    second = batches(dataset, 3, Rows(6, process=1, processes=2))
    check_shares(whole, [first, second], count=3)


def test_the_state_is_a_position(dataset: FrameDataset):
    iterator = batches(dataset, 0, Rows(4))
    next(iterator)
    state = iterator.get_state()
    expected = next(iterator)
    resumed = batches(dataset, 0, Rows(4))
    resumed.set_state(state)
    np.testing.assert_array_equal(next(resumed)["source"], expected["source"])


def test_a_batch_is_described_by_clips_and_frames(dataset: FrameDataset):
    batch = pairs(dataset, "train", 0, Rows(2), shuffle=False)[1]
    a, c = batch["source_frame"].tolist()
    b, d = batch["driving_frame"].tolist()
    expected = f"train/2.mp4 from frame {a} to {b}, train/3.mp4 from frame {c} to {d}"
    assert describe(batch, dataset) == expected


def test_validation_batches_never_change(dataset: FrameDataset):
    first = validation_batches(dataset, Rows(3), 2)
    second = validation_batches(dataset, Rows(3), 2)
    np.testing.assert_array_equal(first[1]["driving"], second[1]["driving"])
    rows = np.concatenate([batch["row"] for batch in first])
    np.testing.assert_array_equal(rows, np.arange(6))
    # Both clips come in each round.
    clips = np.concatenate([batch["clip"] for batch in first])
    rounds = np.sort(clips.reshape(-1, 2), axis=1)
    np.testing.assert_array_equal(rounds, [[0, 1], [0, 1], [0, 1]])


def test_a_clip_of_a_single_frame_is_named():
    short = record_of("a/short.mp4", 1)
    with pytest.raises(DatasetError, match=r"clip a/short\.mp4 has a single frame"):
        frames_of(PairDraw(POINTS), short, 1)


def test_a_data_set_without_clips_is_named(dataset: FrameDataset):
    sizes = dict.fromkeys(("train", "validation"), SplitSize(0, 0, 0))
    empty = replace(dataset, sizes=sizes)
    with pytest.raises(DatasetError, match="no train clips"):
        batches(empty, 0, Rows(4))
    assert validation_batches(empty, Rows(4), 1) == []
