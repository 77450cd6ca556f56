"""Windows of motion and audio features, in batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxportrait.motion.space import MotionStatistics, normalize
from tests.train.batches import check_shares
from tests.train.runs import FEATURE_WIDTH, make_clip, make_dataset
from train.data.batches import Rows, Sample
from train.data.dataset import Dataset, WindowSplitSize
from train.data.records import window_count
from train.data.shards import DatasetError
from train.data.windows import Needs, Place, cut_window
from train.flow.data import (
    WindowCut,
    batches,
    describe,
    validation_batches,
    windows,
)

TRAIN_CLIPS = 5


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(
        tmp_path_factory.mktemp("data") / "clips", "encoder", train=TRAIN_CLIPS
    )


def test_features_begin_where_the_window_does():
    clip = make_clip("a/b", 90, seed=0)
    window = cut_window(clip, Place(0, 33, 63), Needs())
    batch = WindowCut((0,), MotionStatistics(np.zeros(1), np.ones(1))).batch([window])
    # 33 frames of 30 a second last as long as 55 features of 50 a second.
    np.testing.assert_array_equal(batch["motion"][0, :, 0], np.arange(33, 63))
    np.testing.assert_array_equal(batch["features"][0], clip.features[55:105])


def test_a_value_that_never_changes_is_zero():
    mean, deviation = np.float32([5, 1]), np.float32([0, 2])
    statistics = MotionStatistics(mean, deviation)
    normalized = normalize(np.float32([[5, 5]]), statistics)
    np.testing.assert_array_equal(normalized, [[0, 2]])


def test_every_window_is_seen_once_in_each_round_in_another_order(dataset: Dataset):
    count = dataset.sizes["train"].windows
    order = windows(dataset, "train", "lip", 0, Rows(count))
    first, second = order[0], order[1]
    rounds = [places_of(batch) for batch in (first, second)]
    assert rounds[0] != rounds[1]
    # Each window of each clip once: clips count by their length.
    expected = [
        (clip, 3 * number)
        for clip in range(TRAIN_CLIPS)
        for number in range(window_count(60 + 7 * clip))
    ]
    assert sorted(rounds[0]) == sorted(rounds[1]) == expected
    assert first["motion"].shape == (count, 30, 18)
    assert first["features"].shape == (count, 50, FEATURE_WIDTH)


def places_of(batch: Sample) -> list[tuple[int, int]]:
    """Return clip and start of each window of a batch."""
    return list(zip(batch["clip"].tolist(), batch["start"].tolist(), strict=True))


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


def test_a_clip_with_too_few_features_is_named():
    clip = make_clip("a/short.mp4", 60, seed=0)
    short = replace(clip, features=clip.features[:90])
    with pytest.raises(
        DatasetError, match=r"a/short\.mp4 has 90 audio features for 60 frames"
    ):
        cut_window(short, Place(0, 27, 57), Needs())


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
