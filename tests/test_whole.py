"""Files and folders that appear whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jaxportrait import whole
from jaxportrait.room import check_room
from jaxportrait.whole import (
    disk_errors,
    hold_folder,
    reserve,
    write_whole,
)

ROOT = Path(__file__).parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_folder(path: Path, text: str) -> None:
    """Write a folder of two files, one of them deeper."""
    (path / "deep").mkdir(parents=True)
    (path / "first").write_text(text)
    (path / "deep" / "second").write_text(text)


def write_note(path: Path, error: type[BaseException] | BaseException) -> None:
    """Write half of a file, and fail."""
    with write_whole(path) as partial:
        partial.write_text("half")
        raise error


def test_a_file_replaces_the_one_before_when_it_is_finished(tmp_path):
    path = tmp_path / "note"
    path.write_text("old")
    with write_whole(path) as partial:
        # A program that goes by suffixes sees the right one.
        assert partial.name == "note"
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["note"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_after_an_error(tmp_path, error):
    (tmp_path / "note").write_text("old")
    with pytest.raises(error):
        write_note(tmp_path / "note", error)
    with pytest.raises(error):
        write_note(tmp_path / "other", error)
    assert names(tmp_path) == ["note"]
    assert (tmp_path / "note").read_text() == "old"


def test_a_folder_appears_whole(tmp_path):
    with write_whole(tmp_path / "folder") as partial:
        write_folder(partial, "new")
        assert not (tmp_path / "folder").exists()
    assert (tmp_path / "folder" / "deep" / "second").read_text() == "new"
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced_only_on_request(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(whole, "_exchange", lambda first, second: False)
    path = tmp_path / "folder"
    write_folder(path, "old")
    with (
        pytest.raises(FileExistsError, match="folder that is not empty"),
        write_whole(path) as partial,
    ):
        write_folder(partial, "new")
    assert (path / "first").read_text() == "old"
    with write_whole(path, replace_folder=True) as partial:
        write_folder(partial, "new")
    assert (path / "first").read_text() == "new"
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_has_appeared_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "folder"

    def write() -> None:
        with write_whole(path) as partial:
            write_folder(partial, "second")
            write_folder(path, "first")

    with pytest.raises(FileExistsError):
        write()
    assert (path / "first").read_text() == "first"
    assert names(tmp_path) == ["folder"]


def test_a_long_name_leaves_room_for_the_partial_folders(tmp_path):
    name = "ä" * 127  # 254 bytes
    with write_whole(tmp_path / name) as partial:
        partial.touch()
    assert names(tmp_path) == [name]


def test_nothing_gets_its_name_once_all_is_abandoned(tmp_path):
    # In a process of its own, since abandoning ends all writing.
    program = """
import sys, threading, time
from pathlib import Path
from jaxportrait.whole import abandon_all, write_whole
path = Path(sys.argv[1])
def write():
    with write_whole(path) as partial:
        partial.write_text("half")
        print("begun", flush=True)
        while partial.exists():
            time.sleep(0.01)
        partial.parent.mkdir()
        partial.write_text("half")
writer = threading.Thread(target=write, daemon=True)
writer.start()
time.sleep(0.3)
print(abandon_all() == [path], list(path.parent.iterdir()), flush=True)
writer.join(0.5)
print(writer.is_alive(), path.exists())
"""
    command = [sys.executable, "-c", program, str(tmp_path / "note")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.splitlines() == ["begun", "True []", "True False"]


def test_two_writers_of_one_destination_both_end_whole(tmp_path):
    path = tmp_path / "note"
    with write_whole(path) as first, write_whole(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    # The one that ends last wins.
    assert path.read_text() == "first"
    assert names(tmp_path) == ["note"]


def test_a_reserved_destination_is_refused_to_another_run(tmp_path):
    path = tmp_path / "checkpoint"
    with reserve(path):
        # Reserved for this run, which writes it itself.
        with write_whole(path) as partial:
            partial.touch()
        with pytest.raises(OSError, match="is being written by another run: wait"):
            reserve(path).__enter__()
        with reserve(tmp_path / "other"):
            pass
    with reserve(path):
        pass
    assert names(tmp_path) == ["checkpoint"]


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(tmp_path):
    path = tmp_path / "note"
    message = r"note cannot be written: it needs .* MB, and"
    with pytest.raises(OSError, match=message), write_whole(path, size=10**18):
        raise AssertionError
    check_room(path, 1)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("RESOURCE_EXHAUSTED: Error writing: No space left on device"),
    ],
)
def test_a_full_disk_is_one_line_with_the_path(tmp_path, error):
    path = tmp_path / "note"
    message = f"^{path} cannot be written: no space is left in {tmp_path}; free some"
    with pytest.raises(OSError, match=message):
        write_note(path, error)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        ValueError(f"RESOURCE_EXHAUSTED: Error writing: {os.strerror(errno.EDQUOT)}"),
    ],
)
def test_a_quota_is_one_line_with_the_path(tmp_path, error):
    message = f"note cannot be written: your quota in {tmp_path} is used up; free some"
    with pytest.raises(OSError, match=message):
        write_note(tmp_path / "note", error)
    assert names(tmp_path) == []


def test_a_folder_that_vanishes_is_named(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()

    def write() -> None:
        with write_whole(folder / "note") as partial:
            folder.rename(tmp_path / "elsewhere")
            partial.write_text("lost")

    # It vanishes while it is written to, and is not there from the start.
    for _ in range(2):
        with pytest.raises(OSError, match=f"there is no folder {folder}; make it"):
            write()


def test_a_folder_without_the_right_to_write_is_named(tmp_path, monkeypatch):
    # Tests may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    message = f"note cannot be written: you may not write into {tmp_path}"
    with (
        pytest.raises(OSError, match=message),
        disk_errors(tmp_path / "note", tmp_path),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_other_errors_pass_as_they_are(tmp_path):
    with (
        pytest.raises(ValueError, match=r"^odd sides$"),
        write_whole(tmp_path / "note"),
    ):
        raise ValueError("odd sides")


def test_a_killed_writer_leaves_the_old_file_and_a_partial_folder(tmp_path):
    program = """
import os, signal, sys
from jaxportrait.whole import write_whole
with write_whole(sys.argv[1]) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "note"
    path.write_text("old")
    command = [sys.executable, "-c", program, str(path)]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    partial, note = names(tmp_path)
    assert partial.startswith(".note.")
    assert partial.endswith(".partial")
    assert (tmp_path / note).read_text() == "old"


@pytest.mark.parametrize("address", ["s3://bucket/data/a.mp4", "gs://bucket/run"])
@pytest.mark.parametrize("place", [write_whole, hold_folder, reserve])
def test_an_object_store_is_no_local_folder(place, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = f"{address} is no folder of this machine, .*: choose a local folder"
    with pytest.raises(OSError, match=message), place(Path(address)):
        pass
    assert names(tmp_path) == []


def test_a_folder_whose_name_only_resembles_a_store_is_written(tmp_path):
    with hold_folder(tmp_path / "s3"):
        assert names(tmp_path) == ["s3"]
