"""Programs in too little address space."""

import subprocess
import sys
from pathlib import Path

import pytest

from jaxportrait.console.memory import find_shortage

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")


@linux
@pytest.mark.parametrize(
    ("program", "kibibytes"),
    [
        ("jaxportrait animate", 200_000),
        ("infer", 300_000),
        ("infer", 1_000_000),
        ("train.process", 300_000),
    ],
)
def test_too_little_address_space_is_one_line(program, kibibytes, tmp_path):
    script = f'ulimit -v {kibibytes}; exec "$0" -m {program}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: memory is short: address space is limited")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_memory_without_a_limit_is_enough():
    assert find_shortage() is None
