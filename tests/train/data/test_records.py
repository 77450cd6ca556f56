"""Records and data sets as processing writes and training reads them."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import chex
import numpy as np
import pytest
from flax import serialization
from rich.console import Console

from jaxportrait.checkpoint import open_checkpoint
from tests.train.videos import draw_leaves, save_tiny_checkpoint
from train.data.batches import Rows
from train.data.dataset import Dataset, network_identity, open_dataset
from train.data.records import (
    ClipRecord,
    decode_record,
    encode_record,
    feature_at,
    features_needed,
    sample_at,
    samples_needed,
    window_count,
)
from train.data.shards import DatasetError, shard_name, write_shard
from train.flow.data import windows
from train.prepare.gather import gather
from train.prepare.motion.extract import MotionRecipe
from train.prepare.motion.write import cut_record, write_dataset
from train.prepare.options import ClipOptions
from train.prepare.split import Piece

LABELS = {"emotion": "happy", "level": 2}


def record_of(clip: str, frames: int, seed: int = 0) -> ClipRecord:
    rng = np.random.default_rng(seed)
    motion = rng.standard_normal((frames, 70))
    features = rng.standard_normal((features_needed(frames), 4))
    envelope = rng.uniform(size=frames)
    return ClipRecord(
        clip,
        clip[:1],
        motion.astype(np.float32),
        features.astype(np.float16),
        envelope.astype(np.float32),
        3,
        LABELS,
    )


def with_everything(record: ClipRecord) -> ClipRecord:
    sound = np.arange(samples_needed(record.frames), dtype=np.int16)
    points = np.arange(6 * record.frames, dtype=np.float32)
    return replace(record, sound=sound, landmarks=points.reshape(-1, 3, 2))


def format_1(record: ClipRecord, emotion: str = "", level: int = 0) -> bytes:
    """A record's bytes in the layout of format 1, with all of its fields."""
    content: dict[str, Any] = {
        "clip": record.clip,
        "subject": record.subject,
        "emotion": emotion,
        "level": level,
        "motion": record.motion,
        "features": record.features,
        "envelope": record.envelope,
        "start": record.start,
    }
    return serialization.msgpack_serialize(content)


def write(folder: Path, frames=(60, 45, 31)) -> tuple[Dataset, dict[str, ClipRecord]]:
    folder.mkdir(exist_ok=True)
    records = {}
    for name, count in zip(("a.mp4", "b.mp4", "c.mp4"), frames, strict=True):
        records[name] = record_of(name, count, count)
    # the last piece starts within its clip
    pieces = [
        Piece("a.mp4", "train", 0, frames[0]),
        Piece("c.mp4", "train", 0, frames[2]),
        Piece("b.mp4", "validation", 3, frames[1]),
    ]
    options = {"feature_width": 4, "audio_encoder": "abc", "motion_space": "face"}
    return write_dataset(folder, pieces, records.__getitem__, **options), records


def assert_equal(first: ClipRecord, second: ClipRecord) -> None:
    for name in ClipRecord.__dataclass_fields__:
        one, other = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", type(one)) == getattr(other, "dtype", type(other))


@pytest.mark.parametrize("change", [replace, with_everything])
def test_a_record_is_restored(change):
    record = change(record_of("портрет/a.mp4", 40))
    assert_equal(decode_record(encode_record(record)), record)
    assert encode_record(replace(record)) == encode_record(record)


def test_a_record_of_format_1_is_upgraded():
    record = record_of("портрет/a.mp4", 40)
    assert_equal(decode_record(format_1(record, "happy", 2)), record)
    plain = replace(record, labels={})
    assert_equal(decode_record(format_1(record)), plain)


def test_optional_fields_that_are_empty_cost_nothing():
    plain = replace(record_of("a.mp4", 40), labels={})
    assert len(encode_record(plain)) < len(format_1(plain))
    content = serialization.msgpack_restore(encode_record(plain))
    names = {"clip", "subject", "motion", "features", "envelope", "start"}
    assert content.keys() == names


@pytest.mark.parametrize(
    "data", [b"", b"\x00", encode_record(record_of("a", 30))[:-9], b"\x81\xa1x\x01"]
)
def test_other_bytes_are_no_record(data):
    with pytest.raises(DatasetError, match="process the videos again"):
        decode_record(data)


@pytest.mark.parametrize(
    ("frames", "windows", "features", "samples"),
    [
        (29, 0, 49, 15_467),
        (30, 1, 50, 16_000),
        (32, 1, 54, 17_067),
        (33, 2, 55, 17_600),
        (60, 11, 100, 32_000),
    ],
)
def test_windows_and_their_features(frames, windows, features, samples):
    assert window_count(frames) == windows
    assert features_needed(frames) == features
    assert samples_needed(frames) == samples
    if windows:
        last = 3 * (windows - 1)
        assert feature_at(last) + 50 <= features
        assert sample_at(last) + 16_000 <= samples


def test_a_data_set_is_restored(tmp_path):
    written, records = write(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    assert dataset.sizes == written.sizes
    assert (dataset.feature_width, dataset.audio_encoder) == (4, "abc")
    assert (dataset.motion_space, dataset.landmark_groups) == ("face", {})

    (shard,) = dataset.shards("train")
    assert shard.name == "train-00000-of-00001.array_record"
    for record, clip in zip(dataset.clips("train"), ("a.mp4", "c.mp4"), strict=True):
        assert_equal(record, records[clip])

    # 3 frames are 5 features
    (validation,) = dataset.clips("validation")
    assert (validation.start, validation.frames, validation.windows) == (6, 42, 5)
    np.testing.assert_array_equal(validation.features, records["b.mp4"].features[5:75])
    assert dataset.sizes["train"].windows == 11 + 1


def downgrade(folder: Path, records: dict[str, ClipRecord]) -> None:
    """Replace a data set's description and training records by those of format 1."""
    description = json.loads((folder / "dataset.json").read_text())
    for name in ("sound_rate", "landmark_groups"):
        del description[name]
    description["format"] = 1
    (folder / "dataset.json").write_text(json.dumps(description))
    train = [format_1(records[name], "happy", 2) for name in ("a.mp4", "c.mp4")]
    write_shard(folder / shard_name("train", 0, 1), train)
    piece = Piece("b.mp4", "validation", 3, 45)
    held_out = cut_record(records["b.mp4"], piece)
    validation = [format_1(held_out, "happy", 2)]
    write_shard(folder / shard_name("validation", 0, 1), validation)


def test_a_data_set_of_format_1_is_read(tmp_path):
    folder = tmp_path / "set"
    _, records = write(folder)
    downgrade(folder, records)
    dataset = open_dataset(folder)
    for record, clip in zip(dataset.clips("train"), ("a.mp4", "c.mp4"), strict=True):
        assert_equal(record, records[clip])
    assert dataset.sizes["train"].windows == 11 + 1
    assert dataset.landmark_groups == {}


def test_a_data_set_of_format_1_trains_on_the_same_windows(tmp_path):
    folder = tmp_path / "set"
    _, records = write(folder)
    new = windows(open_dataset(folder), "train", "lip", 0, Rows(2))
    expected = [new[index] for index in range(3)]

    downgrade(folder, records)
    old = windows(open_dataset(folder), "train", "lip", 0, Rows(2))
    for index, batch in enumerate(expected):
        chex.assert_trees_all_equal(old[index], batch)


def test_statistics_of_a_motion_space_are_its_columns(tmp_path):
    dataset, records = write(tmp_path / "set")
    parts = [records[name].motion for name in ("a.mp4", "c.mp4")]
    motion = np.concatenate(parts).astype(np.float64)
    keypoints = (6, 12, 14, 17, 19, 20)
    columns = [3 * keypoint + axis for keypoint in keypoints for axis in range(3)]
    mean = motion.mean(axis=0)[columns].astype(np.float32)
    deviation = motion.std(axis=0, ddof=1)[columns].astype(np.float32)

    lips = open_dataset(tmp_path / "set").statistics("lip")
    np.testing.assert_array_equal(lips.mean, mean)
    np.testing.assert_array_equal(lips.std, deviation)
    assert dataset.statistics("face").mean.shape == (70,)


def test_writing_twice_replaces_the_files_by_the_same_bytes(tmp_path):
    folder = tmp_path / "set"
    write(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    # a stale shard is removed
    (folder / "train-00001-of-00002.array_record").touch()
    write(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_damaged_data_sets_say_what_is_wrong(tmp_path):
    message = r"no data set at .*dataset\.json is missing"
    with pytest.raises(FileNotFoundError, match=message):
        open_dataset(tmp_path)
    write(tmp_path / "set")
    description = tmp_path / "set" / "dataset.json"
    good = description.read_text()
    damages = {
        json.dumps(json.loads(good) | {"format": 99}): "is of format 99, this version",
        json.dumps(json.loads(good) | {"motion_fps": 25}): "has motion_fps 25, this",
        json.dumps(json.loads(good) | {"splits": 3}): "is damaged",
        good[:40]: "is damaged",
    }
    for text, message in damages.items():
        description.write_text(text)
        with pytest.raises(DatasetError, match=message):
            open_dataset(tmp_path / "set")
    description.write_text(good)
    (tmp_path / "set" / "train-00000-of-00001.array_record").unlink()
    with pytest.raises(DatasetError, match="lacks train-00000-of-00001"):
        open_dataset(tmp_path / "set")


def test_a_machine_without_array_record_is_told_before_work_starts(
    tmp_path, monkeypatch
):
    write(tmp_path / "set")
    # As on Windows, where the extra leaves the package out.
    monkeypatch.setitem(sys.modules, "array_record", None)
    message = "need the package array-record, .* no wheel for Windows, where WSL"
    with pytest.raises(DatasetError, match=message):
        open_dataset(tmp_path / "set")
    options = ClipOptions(dataset_path=tmp_path / "absent", output_path=tmp_path)
    recipe = MotionRecipe(checkpoint=tmp_path)
    with (
        pytest.raises(DatasetError, match=message),
        gather(options, recipe, Console(quiet=True)),
    ):
        raise AssertionError


def test_identity_depends_on_the_weights(tmp_path, monkeypatch):
    checkpoint = open_checkpoint(save_tiny_checkpoint(tmp_path / "one"))
    copy = open_checkpoint(save_tiny_checkpoint(tmp_path / "two", ("whisper",)))
    identity = network_identity(checkpoint, "whisper")
    assert identity == network_identity(copy, "whisper")

    # one weight differs
    def change_one(config):
        leaves = draw_leaves(config)
        name = next(iter(leaves))
        return {**leaves, name: leaves[name] + 1e-3}

    monkeypatch.setattr("tests.train.videos.draw_leaves", change_one)
    other = open_checkpoint(save_tiny_checkpoint(tmp_path / "three", ("whisper",)))
    assert identity != network_identity(other, "whisper")
