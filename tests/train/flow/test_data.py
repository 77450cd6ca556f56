"""Windows of motion and audio features, in batches."""

from pathlib import Path

import numpy as np
import pytest

from jaxportrait.motion.space import MotionStatistics, normalize
from tests.train.batches import check_rounds, check_shares
from tests.train.runs import FEATURE_WIDTH, make_clip, make_dataset
from train.data.batches import Rows
from train.data.dataset import Dataset, WindowSplitSize
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
    # 33 frames of 30 a second last as long as 55 features of 50 a second.
    frames = cut["motion"][:, 0]
    np.testing.assert_array_equal(frames, np.arange(33, 63))
    np.testing.assert_array_equal(cut["features"], clip.features[55:105])


def test_a_value_that_never_changes_is_zero():
    mean, deviation = np.float32([5, 1]), np.float32([0, 2])
    statistics = MotionStatistics(mean, deviation)
    normalized = normalize(np.float32([[5, 5]]), statistics)
    np.testing.assert_array_equal(normalized, [[0, 2]])


def test_every_clip_is_seen_once_in_each_round_in_another_order(dataset: Dataset):
    batch = next(batches(dataset, "lip", 0, Rows(4 * TRAIN_CLIPS)))
    check_rounds(batch["clip"], TRAIN_CLIPS, rounds=4)
    assert len(set(batch["start"].tolist())) > TRAIN_CLIPS
    assert batch["motion"].shape == (20, 30, 18)
    assert batch["features"].shape == (20, 50, FEATURE_WIDTH)


def test_processes_share_out_the_same_global_batches(dataset: Dataset):
    whole = batches(dataset, "face", 3, Rows(6))
    first = batches(dataset, "face", 3, Rows(6, process=0, processes=2))
    second = batches(dataset, "face", 3, Rows(6, process=1, processes=2))
    check_shares(whole, [first, second], count=4)


def test_the_seed_decides_and_the_state_is_a_position(dataset: Dataset):
    first = batches(dataset, "lip", 0, Rows(4))
    other = batches(dataset, "lip", 1, Rows(4))
    starts = [next(first)["start"] for _ in range(3)]
    other_starts = [next(other)["start"] for _ in range(3)]
    assert np.any(np.stack(starts) != np.stack(other_starts))
    # An iterator that takes over the state continues with the same batch.
    state = first.get_state()
    expected = next(first)
    resumed = batches(dataset, "lip", 0, Rows(4))
    resumed.set_state(state)
    np.testing.assert_array_equal(next(resumed)["motion"], expected["motion"])


def test_a_batch_is_described_by_clips_and_frames(dataset: Dataset):
    iterator = batches(dataset, "lip", 0, Rows(2))
    # Past the first round of the clips.
    for _ in range(TRAIN_CLIPS):
        batch = next(iterator)
    first, second = batch["clip"].tolist()
    start, other_start = batch["start"].tolist()
    assert describe(batch, dataset) == (
        f"train/{first}.mp4 at frame {start}, train/{second}.mp4 at frame {other_start}"
    )


def test_validation_batches_never_change(dataset: Dataset):
    first = validation_batches(dataset, "lip", Rows(3), 2)
    second = validation_batches(dataset, "lip", Rows(3), 2)
    np.testing.assert_array_equal(first[1]["motion"], second[1]["motion"])
    rows = np.concatenate([batch["row"] for batch in first])
    np.testing.assert_array_equal(rows, np.arange(6))


def test_a_clip_with_too_few_features_is_named(dataset: Dataset):
    clip = make_clip("a/short.mp4", 60, seed=0)
    statistics = dataset.statistics("lip")
    with pytest.raises(
        DatasetError, match=r"a/short\.mp4 has 100 audio features for 60 frames"
    ):
        window(clip, 45, (0,), statistics)


def test_a_data_set_without_clips_is_named(dataset: Dataset, tmp_path: Path):
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
