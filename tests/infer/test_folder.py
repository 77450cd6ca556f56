"""Private folders: removed after a kill, and never while their process lives."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infer.folder import PREFIX, PrivateFolder
from jaxportrait.partial import YOUNG_SECONDS

SERVER = """
import sys
from infer.folder import PrivateFolder
folder = PrivateFolder()
(folder.path / "upload.png").touch()
print(folder.path, flush=True)
sys.stdin.read()
"""
"""A process with a private folder that lives until its input ends."""


@pytest.fixture
def parent(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(parent) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "TMPDIR": str(parent)}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def read_folder(server: subprocess.Popen[str]) -> Path:
    """Return the folder of a server, which then looks old."""
    assert server.stdout is not None
    folder = Path(server.stdout.readline().strip())
    assert folder.is_dir()
    age(folder)
    return folder


def age(folder: Path) -> None:
    when = time.time() - 2 * YOUNG_SECONDS
    os.utime(folder, (when, when))


def test_the_next_start_removes_the_folder_of_a_killed_server(server):
    folder = read_folder(server)
    # While it lives, its folder stays.
    PrivateFolder().close()
    assert [path.name for path in folder.iterdir()] == ["upload.png"]
    server.kill()
    server.wait()
    PrivateFolder().close()
    assert not folder.exists()


def test_young_folders_links_and_files_of_others_stay(parent):
    (parent / "elsewhere").mkdir()
    (parent / "jaxportrait-mine").mkdir()
    (parent / f"{PREFIX}link").symlink_to(parent / "elsewhere")
    (parent / f"{PREFIX}file").touch()
    (parent / f"{PREFIX}old").mkdir()
    for path in parent.iterdir():
        age(path)
    (parent / f"{PREFIX}young").mkdir()
    PrivateFolder().close()
    names = {path.name.removeprefix(PREFIX) for path in parent.iterdir()}
    assert names == {"elsewhere", "jaxportrait-mine", "link", "file", "young"}


def test_a_folder_ends_with_its_owner(parent):
    folder = PrivateFolder()
    assert folder.path.parent == parent
    assert folder.path.stat().st_mode & 0o077 == 0
    folder.close()
    folder.close()
    assert list(parent.iterdir()) == []
