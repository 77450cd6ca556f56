from dataclasses import replace

import numpy as np
import pytest

from tests.train.frames import SIZE, make_frames, record_of
from train.data.batches import Rows
from train.data.frames import FrameDataset
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


def test_a_pair_is_two_frames_with_what_belongs_to_them(dataset: FrameDataset):
    batch = next(batches(dataset, 0, Rows(40)))
    assert (batch["source_frame"] != batch["driving_frame"]).all()
    for role in ("source", "driving"):
        frame = batch[f"{role}_frame"]
        assert batch[role].shape == (40, SIZE, SIZE, 3)
        assert batch[role].dtype == np.uint8
        np.testing.assert_allclose(batch[role].mean((1, 2, 3)), 10 * frame, atol=1)
        np.testing.assert_array_equal(
            batch[f"{role}_pose"], np.tile(np.float32(frame)[:, None], (1, 3))
        )
        points, known = batch[f"{role}_landmarks"], batch["clip"] > 0
        assert points.shape == (40, POINTS, 2)
        assert np.isnan(points[~known]).all()
        np.testing.assert_array_equal(points[known, 0, 0], frame[known])


def test_every_pair_of_frames_is_drawn():
    draw, rng = PairDraw(POINTS), np.random.default_rng(0)
    samples = [draw.random_map((0, record_of("a", 3)), rng) for _ in range(60)]
    drawn = {
        (int(sample["source_frame"]), int(sample["driving_frame"]))
        for sample in samples
    }
    assert drawn == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_contrast_draws_pairs_by_how_a_gap_differs():
    record, rng = record_of("a", 10), np.random.default_rng(0)
    record.landmarks[7, 1] += (
        1.0  # a blink: the gap of landmarks 0 and 1 differs in one frame of ten
    )

    def share_of_blinks(draw: PairDraw) -> float:
        samples = [draw.random_map((0, record), rng) for _ in range(400)]
        return float(
            np.mean(
                [
                    7 in (sample["source_frame"], sample["driving_frame"])
                    for sample in samples
                ]
            )
        )

    assert share_of_blinks(PairDraw(POINTS)) == pytest.approx(0.2, abs=0.06)
    assert share_of_blinks(PairDraw(POINTS, Contrast(0.5, ((0, 1),)))) == pytest.approx(
        0.6, abs=0.08
    )
    assert share_of_blinks(PairDraw(POINTS, Contrast(1.0, ((0, 1),)))) == 1.0
    assert share_of_blinks(PairDraw(POINTS, Contrast(1.0, ((2, 3),)))) == pytest.approx(
        0.2, abs=0.06
    )  # stands still


def test_contrast_needs_no_landmarks():
    draw, rng = PairDraw(POINTS, Contrast(1.0, ((0, 1),))), np.random.default_rng(0)
    hidden = replace(
        record_of("a", 4), landmarks=np.full((4, POINTS, 2), np.nan, np.float32)
    )
    for record in (record_of("a", 4, points=0), hidden):
        sample = draw.random_map((0, record), rng)
        assert sample["source_frame"] != sample["driving_frame"]


def test_every_clip_is_seen_once_in_each_round_in_another_order(dataset: FrameDataset):
    rounds = next(batches(dataset, 0, Rows(4 * TRAIN_CLIPS)))["clip"].reshape(
        4, TRAIN_CLIPS
    )
    np.testing.assert_array_equal(
        np.sort(rounds, axis=1), np.tile(np.arange(TRAIN_CLIPS), (4, 1))
    )
    assert len({tuple(order) for order in rounds}) > 1


def test_processes_share_out_the_same_global_batches(dataset: FrameDataset):
    whole, parts = (
        batches(dataset, 3, Rows(6)),
        [batches(dataset, 3, Rows(6, i, 2)) for i in range(2)],
    )
    for _ in range(3):
        expected, shares = next(whole), [next(part) for part in parts]
        together = {
            name: np.concatenate([share[name] for share in shares]) for name in expected
        }
        order = np.argsort(together["row"])
        for name, values in expected.items():
            np.testing.assert_array_equal(together[name][order], values, err_msg=name)


def test_the_state_goes_on(dataset: FrameDataset):
    iterator = batches(dataset, 0, Rows(4))
    next(iterator)
    state, expected = iterator.get_state(), next(iterator)
    again = batches(dataset, 0, Rows(4))
    again.set_state(state)
    np.testing.assert_array_equal(next(again)["source"], expected["source"])


def test_a_batch_is_described_by_clips_and_frames(dataset: FrameDataset):
    batch = pairs(dataset, "train", 0, Rows(2), shuffle=False)[1]
    frames = zip(
        batch["source_frame"].tolist(), batch["driving_frame"].tolist(), strict=True
    )
    (a, b), (c, d) = frames
    assert (
        describe(batch, dataset)
        == f"train/2.mp4 from frame {a} to {b}, train/3.mp4 from frame {c} to {d}"
    )


def test_validation_batches_never_change(dataset: FrameDataset):
    first, second = (validation_batches(dataset, Rows(3), 2) for _ in range(2))
    np.testing.assert_array_equal(first[1]["driving"], second[1]["driving"])
    np.testing.assert_array_equal(
        np.concatenate([batch["row"] for batch in first]), np.arange(6)
    )
    rounds = np.concatenate([batch["clip"] for batch in first]).reshape(-1, 2)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), [[0, 1]] * 3)


def test_what_cannot_be_drawn_is_named(dataset: FrameDataset):
    with pytest.raises(DatasetError, match=r"clip a/short\.mp4 has a single frame"):
        PairDraw(POINTS).random_map(
            (0, record_of("a/short.mp4", 1)), np.random.default_rng(0)
        )
    empty = replace(
        dataset, sizes=dict.fromkeys(("train", "validation"), SplitSize(0, 0, 0))
    )
    with pytest.raises(DatasetError, match="no train clips"):
        batches(empty, 0, Rows(4))
    assert validation_batches(empty, Rows(4), 1) == []
