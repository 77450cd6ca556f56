"""Several data sets as one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.train.batches import check_shares
from tests.train.runs import make_dataset
from train.data.batches import Rows
from train.data.mixture import mix, open_datasets
from train.data.shards import DatasetError, Split
from train.flow.data import batches, describe, validation_batches, windows
from train.prepare.manifest import Entry, write_manifest

FIRST_CLIPS = 5


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("sets")
    make_dataset(root / "a", "encoder", train=FIRST_CLIPS)
    # A set without held-out clips.
    make_dataset(root / "b", "encoder", train=2, validation=0)
    return [root / "a", root / "b"]


def test_windows_of_data_sets_come_by_their_weights(paths: list[Path]):
    dataset = open_datasets(paths, (3, 1))
    order = windows(dataset, "train", "lip", 0, Rows(40))
    batch = order[5]
    # Clips of the second data set are numbered after those of the first.
    is_first = batch["clip"] < FIRST_CLIPS
    assert is_first.sum() == 30
    names = describe(batch, dataset).split(", ")
    assert len(names) == 40


def test_without_weights_data_sets_count_by_their_length(paths: list[Path]):
    dataset = open_datasets(paths)
    size = dataset.sizes["train"]
    # The unit of the shares is a frame.
    shares = []
    for part, share in dataset.parts:
        assert share == part.sizes["train"].frames
        shares.append(share)
    assert size.frames == sum(shares)
    # All clips are read, one data set after the other.
    clips = list(dataset.clips("train"))
    assert len(clips) == size.clips == 7


def test_processes_share_out_the_batches_of_a_mixture(paths: list[Path]):
    dataset = open_datasets(paths, (2, 1))
    whole = batches(dataset, "lip", 0, Rows(6))
    first = batches(dataset, "lip", 0, Rows(6, process=0, processes=2))
    second = batches(dataset, "lip", 0, Rows(6, process=1, processes=2))
    check_shares(whole, [first, second], count=3)


def test_statistics_are_those_of_the_mixture(paths: list[Path]):
    first = open_datasets(paths[:1])
    second = open_datasets(paths[1:])
    dataset = open_datasets(paths, (3, 1))
    mean = 0.75 * first.mean + 0.25 * second.mean
    np.testing.assert_allclose(dataset.mean, mean)
    # Second moments mix like means.
    square = 0.75 * (first.deviation**2 + first.mean**2)
    square += 0.25 * (second.deviation**2 + second.mean**2)
    expected = square - mean**2
    np.testing.assert_allclose(dataset.deviation**2, expected)


def test_validation_covers_all_sets_that_hold_clips_out(paths: list[Path]):
    dataset = open_datasets(paths, (1, 9))
    (batch,) = validation_batches(dataset, "lip", Rows(20), 1)
    np.testing.assert_array_equal(np.unique(batch["clip"]), [0, 1])
    # Both sets hold two clips out.
    first = open_datasets(paths[:1])
    both = mix([first, first], (1, 1))
    (batch,) = validation_batches(both, "lip", Rows(20), 1)
    np.testing.assert_array_equal(np.unique(batch["clip"]), np.arange(4))


def test_a_mixture_is_told_from_its_parts(paths: list[Path]):
    single = open_datasets(paths[:1])
    assert "weights" not in single.identity
    one = open_datasets(paths, (3, 1))
    assert one.identity["weights"] == [0.75, 0.25]
    # Weights are shares: their unit doesn't matter.
    other = open_datasets(paths, (6, 2))
    assert other.identity == one.identity


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("audio_encoder", "encoder", "other"),
        ("feature_width", 8, 4),
    ],
)
def test_sets_that_differ_are_not_mixed(paths: list[Path], name: str, value, other):
    first = open_datasets(paths[:1])
    second = replace(first, **{name: other})
    message = f"has {name} {value}, and .* {other}: process"
    with pytest.raises(DatasetError, match=message):
        mix([first, second])


def test_a_set_without_training_windows_is_not_mixed(paths: list[Path]):
    first = open_datasets(paths[:1])
    second = open_datasets(paths[1:])
    # The same data set, whose train split holds nothing.
    none = replace(second.sizes["train"], clips=0)
    sizes = {**second.sizes, "train": none}
    empty = replace(second, sizes=sizes)
    both = mix([first, empty], (1, 1))
    # Its weight would train nothing.
    with pytest.raises(DatasetError, match=r"b has no train clips that hold a window"):
        windows(both, "train", "lip", 0, Rows(4))


def test_weights_belong_to_data_sets(paths: list[Path]):
    with pytest.raises(DatasetError, match="2 data sets and 3 weights"):
        open_datasets(paths, (1, 2, 3))
    with pytest.raises(DatasetError, match="a single data set"):
        open_datasets(paths[:1], (1,))
    with pytest.raises(DatasetError, match="is named twice"):
        open_datasets([paths[0], paths[0]])


def entry(clip: str, split: Split, checksum: str, pictures: str = "") -> Entry:
    return Entry(
        clip, "anna", "", 0, 90, 3.0, checksum, splits=(split,), pictures=pictures
    )


def test_a_clip_that_another_set_holds_out_is_not_trained_on(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    make_dataset(one, "encoder")
    make_dataset(two, "encoder")
    held_out = entry("anna/1.mp4", "validation", "a", "pictures")
    write_manifest(one, [entry("anna/0.mp4", "train", "b"), held_out])
    # The same names have other contents; both sets hold the same clip out.
    others = [entry("anna/1.mp4", "train", "c"), entry("x.mp4", "validation", "a")]
    write_manifest(two, others)
    assert len(open_datasets([one, two]).parts) == 2
    # The same file by another name, and the same pictures in another container.
    for copy in (
        entry("z.mp4", "train", "a"),
        entry("z.mkv", "train", "d", "pictures"),
    ):
        write_manifest(two, [*others, copy])
        message = rf"two trains on {copy.clip}, which .*one holds out \(such clips: 1\)"
        for paths in ([one, two], [two, one]):
            with pytest.raises(DatasetError, match=message):
                open_datasets(paths)


def test_clips_that_are_unknown_are_not_compared(tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    make_dataset(one, "encoder")
    make_dataset(two, "encoder")
    # Clips that could not be read have no checksums.
    write_manifest(one, [entry("a.mp4", "validation", "")])
    assert open_datasets([one, two])
    write_manifest(two, [entry("b.mp4", "train", "")])
    assert open_datasets([one, two])
    (two / "manifest.jsonl").write_text("{")
    with pytest.raises(DatasetError, match=r"manifest\.jsonl is damaged"):
        open_datasets([one, two])
