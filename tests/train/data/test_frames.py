"""Data sets of frames as `train.frames` writes and renderer training reads them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.train.frames import make_frames, record_of
from train.data.frames import (
    FrameRecord,
    decode_image,
    decode_record,
    encode_image,
    encode_record,
    open_frames,
)
from train.data.shards import DatasetError


def test_a_record_comes_back_as_it_was():
    record = record_of("портрет/a.mp4", 3, points=4)
    again = decode_record(encode_record(record))
    assert (again.clip, again.subject, again.images, again.frames) == (
        record.clip,
        "портрет",
        record.images,
        3,
    )
    for name in ("landmarks", "pose"):
        np.testing.assert_array_equal(getattr(again, name), getattr(record, name))
        assert getattr(again, name).dtype == np.float32
    assert encode_record(replace(record)) == encode_record(record)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", encode_record(record_of("a", 2))[:-9], b"\x81\xa1x\x01"]
)
def test_other_bytes_are_no_record(data):
    with pytest.raises(
        DatasetError,
        match="is no FrameRecord of this version: process the videos again",
    ):
        decode_record(data)


def test_a_picture_keeps_its_colours():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = (
        200,
        40,
        40,
    )  # red lines a pixel wide, which chroma at half resolution would blur by 60 levels
    image[:, 1::2] = (40, 40, 40)
    assert np.abs(decode_image(encode_image(image)).astype(int) - image).max() <= 12
    with pytest.raises(DatasetError, match="a picture of 4 bytes is no JPEG"):
        decode_image(b"\xff\xd8\xff\xe0")
    with pytest.raises(DatasetError, match="of 0 bytes"):
        decode_image(b"")


def test_a_data_set_comes_back_as_it_was(tmp_path: Path):
    written = make_frames(tmp_path / "set", train=3, validation=1, points=4)
    dataset = open_frames(tmp_path / "set")
    assert dataset == written
    assert dataset.identity == json.loads(json.dumps(written.identity))
    assert (dataset.size, dataset.landmarks, dataset.sizes["train"].clips) == (32, 4, 3)
    assert [shard.name for shard in dataset.shards("train")] == [
        "train-00000-of-00001.array_record"
    ]
    records = list(dataset.clips("train"))
    assert [record.clip for record in records] == [
        "train/0.mp4",
        "train/1.mp4",
        "train/2.mp4",
    ]
    assert all(isinstance(record, FrameRecord) for record in records)


def test_identity_is_of_the_contents(tmp_path: Path):
    one, same, other = (
        make_frames(tmp_path / name, points=points)
        for name, points in (("a", 4), ("b", 4), ("c", 5))
    )
    assert one.identity == same.identity
    assert one.identity["digest"] != other.identity["digest"]


def test_damaged_data_sets_say_what_is_wrong(tmp_path: Path):
    with pytest.raises(
        FileNotFoundError, match=r"no data set at .*frames\.json is missing"
    ):
        open_frames(tmp_path)
    make_frames(tmp_path / "set")
    description = tmp_path / "set" / "frames.json"
    good = description.read_text()
    description.write_text(json.dumps(json.loads(good) | {"format": 99}))
    with pytest.raises(DatasetError, match="is of format 99, this version reads 1"):
        open_frames(tmp_path / "set")
    description.write_text(good[:40])
    with pytest.raises(DatasetError, match="is damaged"):
        open_frames(tmp_path / "set")
    description.write_text(good)
    (tmp_path / "set" / "train-00000-of-00001.array_record").unlink()
    with pytest.raises(DatasetError, match="lacks train-00000-of-00001"):
        open_frames(tmp_path / "set")
