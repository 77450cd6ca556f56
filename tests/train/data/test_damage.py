"""Damaged data sets: each is refused on opening or on reading, by the file's name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.train.data.test_records import write
from tests.train.frames import make_frames
from train.data.batches import Rows
from train.data.dataset import open_dataset
from train.data.frames import open_frames
from train.data.shards import DatasetError
from train.flow.data import batches

SHARD = "train-00000-of-00001.array_record"
CHUNK = 65_536
"""Bytes of a block of an ArrayRecord file."""


def change_json(name: str, **changes: Any) -> Callable[[Path], None]:
    """Return a function that changes values of a JSON file; `a__b` names a nested one."""

    def damage(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text())
        for place, value in changes.items():
            *tables, key = place.split("__")
            table = content
            for part in tables:
                table = table[part]
            table[key] = value
        path.write_text(json.dumps(content))

    return damage


def change_shard(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Return a function that changes the bytes of the first shard."""

    def damage(folder: Path) -> None:
        path = folder / SHARD
        path.write_bytes(change(path.read_bytes()))

    return damage


def values(count: int = 70, last: float = 1.0) -> list[float]:
    return [1.0] * (count - 1) + [last]


SHARDS = {
    "empty": change_shard(lambda data: b""),
    "cut": change_shard(lambda data: data[:-1000]),
    "cut at a block": change_shard(lambda data: data[:CHUNK]),
    "text": change_shard(lambda data: b"hello" * 40_000),
    "another beginning": change_shard(lambda data: b"\1" * 300 + data[300:]),
}
MOTION = {
    "clips": change_json("dataset.json", splits__train__clips=9),
    "negative clips": change_json("dataset.json", splits__train__clips=-2),
    "no shards": change_json("dataset.json", splits__train__shards=0),
    "more shards": change_json("dataset.json", splits__train__shards=2),
    "10^12 shards": change_json("dataset.json", splits__train__shards=10**12),
    "frames": change_json("dataset.json", splits__train__frames=7),
    "text": change_json("dataset.json", splits__train__frames="7"),
    "a split": change_json("dataset.json", splits={}),
    "width": change_json("dataset.json", feature_width=5),
    "width 0": change_json("dataset.json", feature_width=0),
    "space": change_json("dataset.json", motion_space="eyes"),
    "format": change_json("dataset.json", format="2"),
    "list": lambda folder: (folder / "dataset.json").write_text("[]"),
    "null": lambda folder: (folder / "dataset.json").write_text("null"),
    "brackets": lambda folder: (folder / "dataset.json").write_text("[" * 100_000),
    "short mean": change_json("statistics.json", mean=values(69)),
    "mean of nan": change_json("statistics.json", mean=values(last=float("nan"))),
    "mean of text": change_json("statistics.json", mean=["a"] * 70),
    "deviation": change_json("statistics.json", deviation=values(last=-1.0)),
    "infinite": change_json("statistics.json", deviation=values(last=1e999)),
    "other frames": change_json("statistics.json", frames=1),
    "no statistics": lambda folder: (folder / "statistics.json").unlink(),
}
FRAMES = {
    "clips": change_json("frames.json", sizes__train__clips=9),
    "size": change_json("frames.json", size=64),
    "size 0": change_json("frames.json", size=0),
    "zoom": change_json("frames.json", zoom=-1.0),
    "landmarks": change_json("frames.json", landmarks=-1),
    "a group": change_json("frames.json", landmark_groups={"lips": [4]}),
    "list": lambda folder: (folder / "frames.json").write_text("[]"),
}


@pytest.mark.parametrize(
    "damage", [*SHARDS.values(), *MOTION.values()], ids=[*SHARDS, *MOTION]
)
def test_a_damaged_motion_data_set_is_refused_on_opening(damage, tmp_path: Path):
    write(tmp_path / "set")
    open_dataset(tmp_path / "set")
    damage(tmp_path / "set")
    with pytest.raises(DatasetError, match=r"process the videos again$") as caught:
        open_dataset(tmp_path / "set")
    # A record's shape is that of a clip.
    message = str(caught.value)
    assert str(tmp_path / "set") in message or "clip a.mp4" in message


@pytest.mark.parametrize(
    "damage", [*SHARDS.values(), *FRAMES.values()], ids=[*SHARDS, *FRAMES]
)
def test_a_damaged_data_set_of_frames_is_refused_on_opening(damage, tmp_path: Path):
    make_frames(tmp_path / "set")
    open_frames(tmp_path / "set")
    damage(tmp_path / "set")
    with pytest.raises(DatasetError, match=r"process the videos again$"):
        open_frames(tmp_path / "set")


def test_landmarks_that_are_not_as_described_are_refused_on_reading(tmp_path: Path):
    make_frames(tmp_path / "set")
    change_json("frames.json", landmarks=5)(tmp_path / "set")
    dataset = open_frames(tmp_path / "set")
    # The first clip has none, which is as good as five.
    with pytest.raises(DatasetError, match=r"clip train/1.mp4 has landmarks of shape"):
        list(dataset.clips("train"))


def test_a_record_that_was_overwritten_is_named_by_its_shard(tmp_path: Path):
    write(tmp_path / "set")
    path = tmp_path / "set" / SHARD
    data = bytearray(path.read_bytes())
    # Within the second clip, of 9000 bytes: opening looks only at the first one.
    end = len(data[:CHUNK].rstrip(b"\0"))
    data[end - 3000 : end - 1000] = bytes(2000)
    path.write_bytes(data)
    dataset = open_dataset(tmp_path / "set")
    # Training reads ahead in threads, and raises the error here.
    order = batches(dataset, "lip", 0, Rows(dataset.sizes["train"].windows))
    with pytest.raises(DatasetError, match=rf"{SHARD} is damaged \("):
        next(order)


def test_a_value_that_never_changes_is_refused_where_it_is_used(tmp_path: Path):
    write(tmp_path / "set")
    deviation = [0.0, *values(69)]
    change_json("statistics.json", deviation=deviation)(tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    # The first keypoint is none of the lips'.
    assert np.all(dataset.statistics("lip").std > 0)
    message = r"statistics.json has deviation 0 at value 0 of a frame"
    with pytest.raises(DatasetError, match=message):
        dataset.statistics("face")
