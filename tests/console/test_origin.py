"""Our programs among a user's files of the same names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxportrait.console.origin import HOME, prefer_own_programs, print_others


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Return a folder of another's programs, which end at once."""
    for name in ("train.py", "infer.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong program')\n")
    package = tmp_path / "convert_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the wrong program')\n")
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(HOME)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", ["animate", "train", "convert"])
def test_a_command_finds_its_program_beside_others_of_that_name(foreign, name):
    if name == "convert":
        pytest.importorskip("torch")
    done = run(foreign, "jaxportrait", name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: jaxportrait {name} ")
    assert done.stderr == ""


def test_a_program_run_by_its_module_says_which_others_it_would_not_find(tmp_path):
    (tmp_path / "train.py").touch()
    done = run(tmp_path, "infer", "--help")
    assert done.returncode == 0
    assert done.stderr == (
        f"note: `python -m train` would run {tmp_path / 'train.py'} here, and not this "
        "package's: use the command `jaxportrait`\n"
    )


def test_only_folders_that_hold_others_move_behind_ours(foreign, tmp_path, monkeypatch):
    plain = tmp_path / "plain"
    # A folder of data is no module.
    (plain / "train").mkdir(parents=True)
    path = [str(foreign), str(plain), str(HOME), "/elsewhere"]
    monkeypatch.setattr(sys, "path", path)
    prefer_own_programs()
    assert sys.path == [str(plain), str(HOME), "/elsewhere", str(foreign)]
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", before[:-1])
    prefer_own_programs()
    assert sys.path == before[:-1]


def test_nothing_is_said_where_all_programs_are_ours(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [str(HOME), *sys.path])
    print_others()
    assert capsys.readouterr().err == ""
