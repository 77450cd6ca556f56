"""Data sets of frames as `train.frames` writes and renderer training reads them."""

import json
from dataclasses import replace
from pathlib import Path

import chex
import numpy as np
import pytest
from flax import serialization

from tests.train.frames import make_frames, record_of
from train.data.batches import Rows
from train.data.frames import FrameDataset, open_frames, write_description
from train.data.pictures import (
    FrameRecord,
    decode_image,
    decode_record,
    encode_image,
    encode_record,
)
from train.data.shards import SPLITS, DatasetError, write_shard
from train.data.source import RecordSource
from train.renderer.data import pairs

GROUPS = {"lips_outer": (0, 1), "nose": (2, 3)}


@pytest.mark.parametrize("groups", [{}, GROUPS])
def test_a_record_is_restored(groups):
    record = replace(record_of("портрет/a.mp4", 3, points=4), landmark_groups=groups)
    restored = decode_record(encode_record(record))
    assert (restored.clip, restored.subject) == (record.clip, "портрет")
    assert (restored.images, restored.frames) == (record.images, 3)
    assert restored.landmark_groups == groups
    for name in ("landmarks", "pose"):
        array = getattr(restored, name)
        np.testing.assert_array_equal(array, getattr(record, name))
        assert array.dtype == np.float32
    assert encode_record(replace(record)) == encode_record(record)


def test_a_record_of_format_1_is_read():
    record = record_of("a/b.mp4", 3, points=4)
    names = ("clip", "subject", "images", "landmarks", "pose")
    data = serialization.msgpack_serialize({n: getattr(record, n) for n in names})
    restored = decode_record(data)
    assert restored.landmark_groups == {}
    np.testing.assert_array_equal(restored.landmarks, record.landmarks)
    # without groups, a record has the same bytes in both formats
    assert encode_record(restored) == data


@pytest.mark.parametrize(
    "data", [b"", b"\x00", encode_record(record_of("a", 2))[:-9], b"\x81\xa1x\x01"]
)
def test_other_bytes_are_no_record(data):
    message = "is no FrameRecord of this version: process the videos again"
    with pytest.raises(DatasetError, match=message):
        decode_record(data)


def test_a_picture_keeps_its_colours():
    # red lines a pixel wide, which chroma at half resolution would blur by 60 levels
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = (200, 40, 40)
    image[:, 1::2] = (40, 40, 40)
    restored = decode_image(encode_image(image)).astype(int)
    assert np.abs(restored - image).max() <= 12
    with pytest.raises(DatasetError, match="a picture of 4 bytes is no JPEG"):
        decode_image(b"\xff\xd8\xff\xe0")
    with pytest.raises(DatasetError, match="of 0 bytes"):
        decode_image(b"")


def test_a_data_set_is_restored(tmp_path: Path):
    written = make_frames(tmp_path / "set", train=3, validation=1, points=4)
    dataset = open_frames(tmp_path / "set")
    assert dataset == written
    assert dataset.identity == json.loads(json.dumps(written.identity))
    assert (dataset.size, dataset.landmarks, dataset.sizes["train"].clips) == (32, 4, 3)
    (shard,) = dataset.shards("train")
    assert shard.name == "train-00000-of-00001.array_record"
    records = list(dataset.clips("train"))
    names = [record.clip for record in records]
    assert names == ["train/0.mp4", "train/1.mp4", "train/2.mp4"]
    assert all(isinstance(record, FrameRecord) for record in records)


def write_whole_records(dataset: FrameDataset) -> None:
    """Write a data set again as in formats 1 and 2, with one record a clip."""
    for split in SPLITS:
        clips = dataset.clips(split)
        records = [replace(clip, images=list(clip.images)) for clip in clips]
        (shard,) = dataset.shards(split)
        write_shard(shard, map(encode_record, records))
    write_description(replace(dataset, format=2))


def test_a_data_set_of_format_1_is_read(tmp_path: Path):
    written = make_frames(tmp_path / "set")
    write_whole_records(written)
    path = tmp_path / "set" / "frames.json"
    # format 1 had the identity only
    path.write_text(json.dumps({"format": 1, **written.identity}))
    dataset = open_frames(tmp_path / "set")
    # It did not name the detector of its crops.
    assert written.detector == "haar"
    assert dataset == replace(written, detector=None, format=1)
    assert dataset.landmark_groups == {}


def test_formats_2_and_3_give_the_same_pairs(tmp_path: Path):
    new = make_frames(tmp_path / "new")
    old = make_frames(tmp_path / "old")
    write_whole_records(old)
    old = open_frames(old.path)
    assert (old.format, new.format) == (2, 3)
    # Runs continue with either.
    assert old.identity == new.identity
    for split in SPLITS:
        first, second = pairs(old, split, 7, Rows(8)), pairs(new, split, 7, Rows(8))
        for number in range(3):
            chex.assert_trees_all_equal(first[number], second[number])


def test_a_pair_reads_a_head_and_two_pictures(tmp_path: Path, monkeypatch):
    dataset = make_frames(tmp_path / "set", train=9, validation=1)
    source = pairs(dataset, "train", 0, Rows(9))
    numbers = []
    read = RecordSource.read

    def note(source: RecordSource, indices):
        numbers.extend(indices)
        return read(source, indices)

    monkeypatch.setattr(RecordSource, "read", note)
    batch = source[0]
    # Clip i has 2 + i pictures, and a head before them.
    heads = np.cumsum([0, *(3 + clip for clip in range(8))])[batch["clip"]]
    expected = [
        heads,
        heads + 1 + batch["source_frame"],
        heads + 1 + batch["driving_frame"],
    ]
    np.testing.assert_array_equal(np.reshape(numbers, (9, 3)), np.stack(expected, 1))


def test_pictures_are_read_when_they_are_used(tmp_path: Path):
    dataset = make_frames(tmp_path / "set", train=3)
    clip = dataset.records("train")[2]
    expected = record_of("train/2.mp4", 4).images
    assert len(clip.images) == clip.frames == 4
    assert list(clip.images) == clip.images[:] == expected
    assert (clip.images[-1], clip.images[1:3]) == (expected[3], expected[1:3])
    with pytest.raises(IndexError):
        clip.images[4]


def test_identity_depends_on_the_contents(tmp_path: Path):
    one = make_frames(tmp_path / "a", points=4)
    same = make_frames(tmp_path / "b", points=4)
    other = make_frames(tmp_path / "c", points=5)
    assert one.identity == same.identity
    assert one.identity["digest"] != other.identity["digest"]


def test_damaged_data_sets_say_what_is_wrong(tmp_path: Path):
    message = r"no data set at .*frames\.json is missing"
    with pytest.raises(FileNotFoundError, match=message):
        open_frames(tmp_path)
    make_frames(tmp_path / "set")
    description = tmp_path / "set" / "frames.json"
    good = description.read_text()
    damages = {
        json.dumps(json.loads(good) | {"format": 99}): "is of format 99, this version",
        json.dumps(json.loads(good) | {"size": "large"}): "is damaged",
        good[:40]: "is damaged",
    }
    for text, message in damages.items():
        description.write_text(text)
        with pytest.raises(DatasetError, match=message):
            open_frames(tmp_path / "set")
    description.write_text(good)
    (tmp_path / "set" / "train-00000-of-00001.array_record").unlink()
    with pytest.raises(DatasetError, match="lacks train-00000-of-00001"):
        open_frames(tmp_path / "set")
