"""Partial folders: those of living writers stay, those of dead ones are removed."""

import json
import os
import time
from pathlib import Path

import pytest

from jaxportrait import partial
from jaxportrait.partial import (
    MARK,
    REPLACED,
    boot_id,
    is_local,
    lock_folder,
    make_partial,
    remove_leftovers,
)

MINUTE = 60.0
DAY = 24 * 3600.0

pytestmark = pytest.mark.skipif(not boot_id(), reason="needs Linux's boot id")


def age(folder: Path, seconds: float) -> None:
    """Let a folder and its content look as if last changed so long ago."""
    when = time.time() - seconds
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (when, when))


def leave(destination: Path, seconds: float, boot: str | None = None) -> Path:
    """Leave a partial folder behind, as a writer that was killed does."""
    writer = make_partial(destination)
    writer.content.write_text("half")
    if boot is not None:
        mark = {"host": "other", "boot": boot}
        (writer.folder / MARK).write_text(json.dumps(mark))
    age(writer.folder, seconds)
    writer.free()
    return writer.folder


def test_the_folder_of_a_killed_writer_is_removed_with_a_line(tmp_path, caplog):
    folder = leave(tmp_path / "note", MINUTE)
    assert remove_leftovers(tmp_path) == [folder]
    assert caplog.messages == [f"removed {folder}, left behind by a run that was ended"]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_writer_stays(tmp_path):
    writer = make_partial(tmp_path / "note")
    age(writer.folder, 2 * DAY)
    assert remove_leftovers(tmp_path) == []
    writer.free()
    assert remove_leftovers(tmp_path) == [writer.folder]


def test_a_young_folder_stays(tmp_path):
    leave(tmp_path / "note", 1.0)
    assert remove_leftovers(tmp_path) == []


@pytest.mark.parametrize("boot", ["another-boot", ""])
def test_after_another_boot_only_old_folders_go(tmp_path, boot):
    leave(tmp_path / "young", DAY / 2, boot)
    old = leave(tmp_path / "old", 2 * DAY, boot)
    assert remove_leftovers(tmp_path) == [old]


def test_on_a_file_system_of_several_machines_only_old_folders_go(
    tmp_path, monkeypatch
):
    leave(tmp_path / "young", DAY / 2)
    old = leave(tmp_path / "old", 2 * DAY)
    monkeypatch.setattr(partial, "LOCAL_FILE_SYSTEMS", set())
    assert remove_leftovers(tmp_path) == [old]


def test_without_locks_only_old_folders_go(tmp_path, monkeypatch):
    monkeypatch.setattr(partial, "fcntl", None)
    leave(tmp_path / "young", DAY / 2)
    old = leave(tmp_path / "old", 2 * DAY)
    assert remove_leftovers(tmp_path) == [old]


def test_one_young_file_keeps_the_folder(tmp_path):
    folder = leave(tmp_path / "note", 2 * DAY)
    (folder / "note").write_text("more")
    assert remove_leftovers(tmp_path) == []


def test_folders_of_other_programs_stay(tmp_path):
    foreign = tmp_path / ".mine.0123abcd.partial"
    foreign.mkdir()
    (foreign / "work").write_text("mine")
    age(foreign, 2 * DAY)
    other = tmp_path / ".other.partial"
    other.mkdir()
    age(other, 2 * DAY)
    # A writer that was killed at once has left an empty folder.
    empty = tmp_path / ".note.01234567.partial"
    empty.mkdir()
    age(empty, MINUTE)
    assert remove_leftovers(tmp_path) == [empty]
    assert (foreign / "work").read_text() == "mine"


def test_what_earlier_versions_have_left_goes_after_a_day(tmp_path, caplog):
    video = tmp_path / ".jaxportrait-0123abcd.mp4"
    checkpoint = tmp_path / ".mine.0123abcd.partial.orbax-checkpoint-tmp"
    others = [tmp_path / ".jaxportrait-notes.mp4", tmp_path / ".mine.partial.tmp"]
    for path in (video, *others):
        path.write_text("half")
    (checkpoint / "params").mkdir(parents=True)
    age(tmp_path, DAY / 2)
    assert remove_leftovers(tmp_path) == []
    age(tmp_path, 2 * DAY)
    assert {*remove_leftovers(tmp_path)} == {video, checkpoint}
    assert {*tmp_path.iterdir()} == {*others}
    lines = [line for line in caplog.messages if "left behind by a run" in line]
    assert len(lines) == 2


def test_a_damaged_mark_counts_as_unknown(tmp_path):
    folder = leave(tmp_path / "note", MINUTE)
    (folder / MARK).write_text("{")
    age(folder, MINUTE)
    assert remove_leftovers(tmp_path) == []
    age(folder, 2 * DAY)
    assert remove_leftovers(tmp_path) == [folder]


@pytest.mark.parametrize("has_successor", [True, False])
def test_content_that_was_moved_away_to_be_replaced_comes_back(tmp_path, has_successor):
    folder = leave(tmp_path / "checkpoint", MINUTE)
    old = folder / REPLACED / "checkpoint"
    old.mkdir(parents=True)
    (old / "weights").write_text("old")
    age(folder, MINUTE)
    if has_successor:
        (tmp_path / "checkpoint").mkdir()
        (tmp_path / "checkpoint" / "weights").write_text("new")
    assert remove_leftovers(tmp_path) == [folder]
    content = (tmp_path / "checkpoint" / "weights").read_text()
    assert content == ("new" if has_successor else "old")


def test_a_lock_has_one_holder(tmp_path):
    lock = lock_folder(tmp_path)
    assert lock is not None
    with pytest.raises(BlockingIOError):
        lock_folder(tmp_path)
    os.close(lock)


def test_the_temporary_folder_of_tests_is_local_and_proc_is_not(tmp_path):
    assert is_local(tmp_path)
    assert not is_local(Path("/proc/self"))
