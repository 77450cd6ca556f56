"""Disks that fill up, folders that become read-only or vanish: one line that names the
path and what is missing, and nothing is left."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disks import can_limit, can_mount, on_limited_disk, on_small_disk
from tests.ends.programs import Program
from tests.ends.running import environment, start
from tests.ends.stopped import STOPPED

KIB = 1024
SMALLEST, LARGEST = 16 * KIB, 64 * KIB * KIB
WRITERS = (
    "animate",
    "edit",
    "convert",
    "download",
    "process",
    "process_by_two",
    "frames_by_two",
    "synthesize",
    "export",
    "evaluate",
)
NO_MOUNT = "may not mount a small disk"
NO_QUOTA = "may not mount a disk with a quota"
VANISH = 'if [ -e out ]; then mv out gone; else mv "$PWD" "$PWD.gone"; fi'
PROTECT = 'mount -o remount,ro "$PWD"'


def run_on_disk(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )


def command_of(program: Program) -> list[str]:
    return [sys.executable, "-m", program.module, *program.options]


def check_error(status: int, errors: str, *words: str) -> None:
    """Check that a program has ended with one line that has these words."""
    assert status == 2, errors
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if "error" in line.lower()]
    assert line.startswith("error: ")
    for word in words:
        assert word in line


@pytest.mark.full
@pytest.mark.skipif(not can_mount(), reason=NO_MOUNT)
@pytest.mark.parametrize("name", [*WRITERS, "train", "warm_up"])
def test_a_disk_that_fills_up_at_any_write_is_one_line(name, request, tmp_path):
    program = request.getfixturevalue(name)
    size = SMALLEST
    refused = 0
    # The larger the disk, the later it is full.
    while size < LARGEST:
        command = on_small_disk(f"{size}", command_of(program))
        result = run_on_disk(command, tmp_path)
        print(name, size, result.returncode, result.stderr)
        assert ".partial" not in result.stdout
        if result.returncode == 0:
            break
        is_cache = name == "warm_up"
        words = "are not kept: cache" if is_cache else "cannot be written"
        check_error(result.returncode, result.stderr, words)
        refused += 1
        size *= 2
    # The smallest disk is too small for all; 12 doublings reach the largest.
    assert 1 <= refused < 12


@pytest.mark.full
@pytest.mark.skipif(not can_mount(), reason=NO_MOUNT)
@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_becomes_read_only_is_one_line(name, request, tmp_path):
    program = request.getfixturevalue(name)
    words = [sys.executable, "-m", "tests.ends.stopped", "locking"]
    words += [program.module, *program.options]
    command = on_small_disk("16m", ["env", f"AT_MOMENT={PROTECT}", *words])
    result = run_on_disk(command, tmp_path)
    assert STOPPED in result.stderr
    check_error(result.returncode, result.stderr, "you may not write into")


@pytest.mark.full
@pytest.mark.parametrize("name", [*WRITERS, "train"])
def test_a_folder_that_vanishes_is_one_line(name, request, tmp_path):
    program = request.getfixturevalue(name)
    folder = tmp_path / "work"
    folder.mkdir()
    moment = "saving" if name == "train" else "locking"
    process = start(program, folder, moment, VANISH)
    _, errors = process.communicate(timeout=120)
    assert STOPPED in errors
    check_error(process.returncode, errors, "there is no folder", "make it")


@pytest.mark.full
@pytest.mark.skipif(not can_limit(), reason=NO_QUOTA)
@pytest.mark.parametrize("name", ["animate", "convert", "process", "train"])
def test_a_quota_is_one_line(name, request, tmp_path):
    program = request.getfixturevalue(name)
    command = on_limited_disk("40k", command_of(program))
    result = run_on_disk(command, tmp_path)
    assert ".partial" not in result.stdout
    check_error(result.returncode, result.stderr, "your quota in")


@pytest.mark.full
@pytest.mark.skipif(not can_limit(), reason=NO_QUOTA)
def test_a_quota_is_known_before_anything_is_written(tmp_path):
    program = """
from pathlib import Path
from jaxportrait.room import check_room
here = Path.cwd()
check_room(here / "small", 1000)
try:
    check_room(here / "large", 5_000_000)
except OSError as error:
    print(error)
"""
    command = on_limited_disk("2m", [sys.executable, "-c", program])
    output = run_on_disk(command, tmp_path).stdout
    assert "large cannot be written: it needs 6.0 MB, and your quota in" in output
    assert shutil.disk_usage(tmp_path).free > 6e6
