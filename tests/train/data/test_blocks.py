"""Clips in blocks of a second, and the windows that are read of them."""

from pathlib import Path
from typing import Any

import chex
import pytest

from tests.train.data.test_records import assert_equal, record_of, with_everything
from train.data.blocks import ClipBlocks, encode_clips
from train.data.records import ClipRecord, decode_record, encode_record
from train.data.shards import DatasetError, write_shard
from train.data.source import RecordSource
from train.data.windows import Needs, Place, WholeRecords, Window, cut_window

FRAMES = (31, 30, 95, 600, 12)
WHOLE = Needs(sound=True, silence=True)


def clips() -> list[ClipRecord]:
    """Clips of which some have sound and landmarks."""
    records = []
    for count in FRAMES:
        record = record_of(f"{count}.mp4", count, count)
        is_long = count > 90
        records.append(with_everything(record) if is_long else record)
    return records


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The clips in two shards."""
    folder = tmp_path_factory.mktemp("blocks")
    paths = [folder / "one.array_record", folder / "two.array_record"]
    # The long clips are one in each.
    write_shard(paths[0], encode_clips(clips()[:3]))
    write_shard(paths[1], encode_clips(clips()[3:]))
    return paths


def test_whole_clips_are_restored(shards: list[Path]):
    blocks = ClipBlocks.open(shards, 4)
    lengths = [entry.frames for entry in blocks.entries]
    assert lengths == list(FRAMES)
    assert blocks.entries[0].labels == {"emotion": "happy", "level": 2}
    for number, record in enumerate(clips()):
        assert_equal(blocks[number], record)


def content(window: Window) -> dict[str, Any]:
    """Return the values of a window, whose parts may differ."""
    return {
        "motion": window.motion,
        "features": window.features,
        "sound": window.sound,
        "silence": window.silence,
        "rest": (window.clip, window.start, window.labels),
    }


def test_windows_are_those_that_whole_clips_hold(shards: list[Path]):
    blocks = ClipBlocks.open(shards, 4)
    places = []
    for clip, frames in enumerate(FRAMES):
        for start in range(0, frames, 3):
            # A window of one second, and one of several blocks.
            places.append(Place(clip, start, start + 30))
            places.append(Place(clip, start, start + 41))
    windows = blocks.read(places, WHOLE)
    records = clips()
    for place, window in zip(places, windows, strict=True):
        expected = cut_window(records[place.clip], place, WHOLE)
        chex.assert_trees_all_equal(content(window), content(expected))


def test_a_window_reads_only_the_blocks_that_it_covers(shards: list[Path], monkeypatch):
    counts = []
    read = RecordSource.read

    def count(source: RecordSource, indices):
        counts.append(len(indices))
        return read(source, indices)

    monkeypatch.setattr(RecordSource, "read", count)
    blocks = ClipBlocks.open(shards, 4)
    counts.clear()
    # The clip of 20 seconds: within one block, over two, and nine for eight seconds.
    for start, stop in ((300, 330), (303, 333), (303, 543)):
        blocks.read([Place(3, start, stop)], Needs())
    assert counts == [1, 2, 9]


def test_whole_records_give_the_same_windows(tmp_path: Path):
    old_path, new_path = tmp_path / "old", tmp_path / "new"
    write_shard(old_path, map(encode_record, clips()))
    write_shard(new_path, encode_clips(clips()))
    records = WholeRecords(RecordSource([old_path]), decode_record)
    blocks = ClipBlocks.open([new_path], 4)
    assert list(records.entries) == list(blocks.entries)
    place = Place(3, 33, 63)
    (old,) = records.read([place], WHOLE)
    (new,) = blocks.read([place], WHOLE)
    chex.assert_trees_all_equal(content(old), content(new))


def test_a_shard_that_lists_other_clips_is_named(tmp_path: Path):
    path = tmp_path / "bad.array_record"
    records = list(encode_clips(clips()))
    # A block is missing.
    fewer = [*records[:1], *records[2:]]
    write_shard(path, fewer)
    with pytest.raises(DatasetError, match=r"bad\.array_record is damaged \(it has"):
        ClipBlocks.open([path], 4)
    write_shard(path, records[:-1])
    with pytest.raises(DatasetError, match=r"bad\.array_record is damaged \(its list"):
        ClipBlocks.open([path], 4)


def test_features_of_another_width_are_refused_by_the_clip(shards: list[Path]):
    blocks = ClipBlocks.open(shards, 5)
    with pytest.raises(DatasetError, match=r"clip 31\.mp4 has a block of"):
        blocks.read([Place(0, 0, 30)], Needs())


def test_a_clip_without_sound_has_none(shards: list[Path]):
    blocks = ClipBlocks.open(shards, 4)
    (window,) = blocks.read([Place(0, 0, 30)], WHOLE)
    assert window.sound is None
