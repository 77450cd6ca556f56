from pathlib import Path

import numpy as np
import pytest

from jaxportrait.motion.space import MotionStatistics, normalize
from tests.train.runs import FEATURE_WIDTH, make_clip, make_dataset
from train.data.batches import Rows
from train.data.records import Dataset, WindowSplitSize
from train.data.shards import DatasetError
from train.flow.data import batches, describe, validation_batches, window

TRAIN_CLIPS = 5


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(
        tmp_path_factory.mktemp("data") / "clips", "encoder", train=TRAIN_CLIPS
    )


def test_features_begin_where_the_window_does():
    clip = make_clip("a/b", 90, seed=0)
    statistics = MotionStatistics(np.zeros(1), np.ones(1))
    cut = window(clip, 33, (0,), statistics)
    np.testing.assert_array_equal(cut["motion"][:, 0], np.arange(33, 63))
    np.testing.assert_array_equal(cut["features"], clip.features[55:105])


def test_a_value_that_never_changes_is_zero():
    statistics = MotionStatistics(np.float32([5, 1]), np.float32([0, 2]))
    np.testing.assert_array_equal(normalize(np.float32([[5, 5]]), statistics), [[0, 2]])


def test_every_clip_is_seen_once_in_each_round_in_another_order(dataset: Dataset):
    batch = next(batches(dataset, "lip", 0, Rows(4 * TRAIN_CLIPS)))
    rounds = batch["clip"].reshape(4, TRAIN_CLIPS)
    np.testing.assert_array_equal(
        np.sort(rounds, axis=1), np.tile(np.arange(TRAIN_CLIPS), (4, 1))
    )
    assert len({tuple(order) for order in rounds}) > 1
    assert len(set(batch["start"].tolist())) > TRAIN_CLIPS
    assert batch["motion"].shape == (20, 30, 18)
    assert batch["features"].shape == (20, 50, FEATURE_WIDTH)


def test_processes_share_out_the_same_global_batches(dataset: Dataset):
    whole, parts = (
        batches(dataset, "face", 3, Rows(6)),
        [batches(dataset, "face", 3, Rows(6, i, 2)) for i in range(2)],
    )
    for _ in range(4):
        expected, shares = next(whole), [next(part) for part in parts]
        together = {
            name: np.concatenate([share[name] for share in shares]) for name in expected
        }
        order = np.argsort(together["row"])
        for name, values in expected.items():
            np.testing.assert_array_equal(together[name][order], values, err_msg=name)


def test_the_seed_decides_and_the_state_goes_on(dataset: Dataset):
    first, other = (
        batches(dataset, "lip", 0, Rows(4)),
        batches(dataset, "lip", 1, Rows(4)),
    )
    assert any((next(first)["start"] != next(other)["start"]).any() for _ in range(3))
    state, expected = first.get_state(), next(first)
    again = batches(dataset, "lip", 0, Rows(4))
    again.set_state(state)
    np.testing.assert_array_equal(next(again)["motion"], expected["motion"])


def test_a_batch_is_described_by_clips_and_frames(dataset: Dataset):
    iterator = batches(dataset, "lip", 0, Rows(2))
    for _ in range(TRAIN_CLIPS):  # past the first round of the clips
        batch = next(iterator)
    expected = [
        f"train/{clip}.mp4 at frame {start}"
        for clip, start in zip(batch["clip"], batch["start"], strict=True)
    ]
    assert describe(batch, dataset) == ", ".join(expected)


def test_validation_batches_never_change(dataset: Dataset):
    first, second = (validation_batches(dataset, "lip", Rows(3), 2) for _ in range(2))
    np.testing.assert_array_equal(first[1]["motion"], second[1]["motion"])
    np.testing.assert_array_equal(
        np.concatenate([batch["row"] for batch in first]), np.arange(6)
    )


def test_what_cannot_be_cut_is_named(dataset: Dataset, tmp_path: Path):
    clip = make_clip("a/short.mp4", 60, seed=0)
    with pytest.raises(
        DatasetError, match=r"a/short\.mp4 has 100 audio features for 60 frames"
    ):
        window(clip, 45, (0,), dataset.statistics("lip"))
    empty = Dataset(
        tmp_path,
        {"train": WindowSplitSize(0, 0, 0, 0)},
        8,
        "",
        "lip",
        dataset.mean,
        dataset.deviation,
    )  # pyright: ignore
    with pytest.raises(DatasetError, match="no train clips"):
        batches(empty, "lip", 0, Rows(4))
