"""The cache of compiled programs under programs: damaged entries, and a full disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disks import can_mount, on_small_disk

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
import jax
from jaxportrait.console.cache import start_cache
from jaxportrait.console.errors import exit_on_error

def double(x):
    return x + x

def triple(x):
    return 3 * x

with exit_on_error():
    start_cache("cache", is_needed="needed" in sys.argv)
    print(jax.jit(double)(2), jax.jit(triple)(2))
"""
COMMAND = [sys.executable, "-c", PROGRAM]


def run(command: list[str], folder: Path) -> tuple[int, str, list[str]]:
    """Run a command in a folder; return its status, output and lines on stderr."""
    # Python's own choice of warnings is not to matter.
    variables = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr.splitlines()


def entries(folder: Path) -> dict[str, bytes]:
    paths = (folder / "cache").glob("jit_*-cache")
    return {path.name: path.read_bytes() for path in paths}


def test_a_damaged_entry_is_compiled_and_kept_again(tmp_path):
    assert run(COMMAND, tmp_path) == (0, "4 6\n", [])
    whole = entries(tmp_path)
    (damaged,) = [name for name in whole if name.startswith("jit_double-")]
    # As a run leaves it that is killed while it writes.
    (tmp_path / "cache" / damaged).write_bytes(whole[damaged][:100])
    line = "note: an entry of cache was damaged (jit_double): it is compiled again"
    assert run(COMMAND, tmp_path) == (0, "4 6\n", [line])
    assert entries(tmp_path).keys() == whole.keys()
    assert run(COMMAND, tmp_path) == (0, "4 6\n", [])


@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk")
@pytest.mark.parametrize(("word", "status"), [("needed", 2), ("useful", 0)])
def test_a_disk_without_room_for_the_cache(tmp_path, word, status):
    command = on_small_disk("4k", [*COMMAND, word])
    result, _, lines = run(command, tmp_path)
    assert result == status
    begin = "error" if status else "note"
    reason = "cache cannot be used (No space left on device)"
    (line,) = lines
    assert line.startswith(f"{begin}: compiled programs are not kept: {reason}")
