"""Records and data sets as processing writes and training reads them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxportrait.checkpoint import open_checkpoint
from tests.train.videos import draw_leaves, save_tiny_checkpoint
from train.data.records import (
    ClipRecord,
    Dataset,
    decode_record,
    encode_record,
    feature_at,
    features_needed,
    network_identity,
    open_dataset,
    window_count,
)
from train.data.shards import DatasetError
from train.prepare.motion.write import write_dataset
from train.prepare.split import Piece


def record_of(clip: str, frames: int, seed: int = 0) -> ClipRecord:
    rng = np.random.default_rng(seed)
    motion = rng.standard_normal((frames, 70)).astype(np.float32)
    features = rng.standard_normal((features_needed(frames), 4)).astype(np.float16)
    return ClipRecord(
        clip,
        clip[:1],
        "happy",
        2,
        motion,
        features,
        rng.uniform(size=frames).astype(np.float32),
        3,
    )


def write(folder, frames=(60, 45, 31)) -> tuple[Dataset, dict[str, ClipRecord]]:
    folder.mkdir(exist_ok=True)
    records = {
        f"{name}.mp4": record_of(f"{name}.mp4", count, count)
        for name, count in zip("abc", frames, strict=True)
    }
    pieces = [
        Piece("a.mp4", "train", 0, frames[0]),
        Piece("c.mp4", "train", 0, frames[2]),
    ]
    pieces.append(Piece("b.mp4", "validation", 3, frames[1]))
    options = {"feature_width": 4, "audio_encoder": "abc", "motion_space": "face"}
    return write_dataset(folder, pieces, records.__getitem__, **options), records


def assert_equal(first: ClipRecord, second: ClipRecord):
    for name in ClipRecord.__dataclass_fields__:
        one, other = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", type(one)) == getattr(other, "dtype", type(other))


def test_a_record_comes_back_as_it_was():
    record = record_of("портрет/a.mp4", 40)
    assert_equal(decode_record(encode_record(record)), record)
    assert encode_record(replace(record)) == encode_record(record)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", encode_record(record_of("a", 30))[:-9], b"\x81\xa1x\x01"]
)
def test_other_bytes_are_no_record(data):
    with pytest.raises(DatasetError, match="process the videos again"):
        decode_record(data)


@pytest.mark.parametrize(
    ("frames", "windows", "features"),
    [(29, 0, 49), (30, 1, 50), (32, 1, 54), (33, 2, 55), (60, 11, 100)],
)
def test_windows_and_their_features(frames, windows, features):
    assert window_count(frames) == windows
    assert features_needed(frames) == features
    if windows:
        assert feature_at(3 * (windows - 1)) + 50 <= features


def test_a_data_set_comes_back_as_it_was(tmp_path):
    written, records = write(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    assert dataset.sizes == written.sizes
    assert (dataset.feature_width, dataset.audio_encoder, dataset.motion_space) == (
        4,
        "abc",
        "face",
    )
    assert [shard.name for shard in dataset.shards("train")] == [
        "train-00000-of-00001.array_record"
    ]
    for record, clip in zip(dataset.clips("train"), ("a.mp4", "c.mp4"), strict=True):
        assert_equal(record, records[clip])
    (validation,) = dataset.clips("validation")
    assert (validation.start, validation.frames, validation.windows) == (6, 42, 5)
    np.testing.assert_array_equal(validation.features, records["b.mp4"].features[5:75])
    assert dataset.sizes["train"].windows == 11 + 1


def test_statistics_of_a_motion_space_are_its_columns(tmp_path):
    dataset, records = write(tmp_path / "set")
    motion = np.concatenate([records["a.mp4"].motion, records["c.mp4"].motion]).astype(
        np.float64
    )
    lips = open_dataset(tmp_path / "set").statistics("lip")
    columns = [
        3 * keypoint + axis for keypoint in (6, 12, 14, 17, 19, 20) for axis in range(3)
    ]
    np.testing.assert_array_equal(
        lips.mean, motion.mean(axis=0)[columns].astype(np.float32)
    )
    np.testing.assert_array_equal(
        lips.std, motion.std(axis=0, ddof=1)[columns].astype(np.float32)
    )
    assert dataset.statistics("face").mean.shape == (70,)


def test_writing_again_replaces_and_gives_the_same_bytes(tmp_path):
    write(tmp_path / "set")
    first = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    (tmp_path / "set" / "train-00001-of-00002.array_record").touch()
    write(tmp_path / "set")
    assert {
        path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()
    } == first


def test_damaged_data_sets_say_what_is_wrong(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no data set at .*dataset\.json is missing"
    ):
        open_dataset(tmp_path)
    write(tmp_path / "set")
    description = tmp_path / "set" / "dataset.json"
    good = description.read_text()
    description.write_text(json.dumps(json.loads(good) | {"format": 99}))
    with pytest.raises(DatasetError, match="is of format 99, this version reads 1"):
        open_dataset(tmp_path / "set")
    description.write_text(good[:40])
    with pytest.raises(DatasetError, match="is damaged"):
        open_dataset(tmp_path / "set")
    description.write_text(good)
    (tmp_path / "set" / "train-00000-of-00001.array_record").unlink()
    with pytest.raises(DatasetError, match="lacks train-00000-of-00001"):
        open_dataset(tmp_path / "set")


def test_identity_is_of_the_weights(tmp_path, monkeypatch):
    checkpoint = open_checkpoint(save_tiny_checkpoint(tmp_path / "one"))
    copy = open_checkpoint(save_tiny_checkpoint(tmp_path / "two", ("whisper",)))
    assert network_identity(checkpoint, "whisper") == network_identity(copy, "whisper")

    def changed(part, config):
        leaves = draw_leaves(part, config)
        name = next(iter(leaves))
        return {**leaves, name: leaves[name] + 1e-3}

    monkeypatch.setattr("tests.train.videos.draw_leaves", changed)
    other = open_checkpoint(save_tiny_checkpoint(tmp_path / "three", ("whisper",)))
    assert network_identity(checkpoint, "whisper") != network_identity(other, "whisper")
