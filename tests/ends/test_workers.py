"""Workers of every kind, which never outlive the program that has started them."""

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.ends.running import (
    descendants,
    environment,
    start,
    wait_for,
    wait_for_ends,
)
from tests.ends.stopped import STOPPED

WAIT = "while [ ! -e go ]; do sleep 0.05; done"
LONGEST = 30.0
"""Seconds within which Ray's workers end, on a machine that is busy."""
AGENTS = "Agent"
AGENTS_LONGEST = 120.0
"""Seconds within which Ray's agents notice that their node has been killed."""


def commands(pids: list[int]) -> list[str]:
    """Return the command lines of processes."""
    lines = []
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            # It has ended meanwhile.
            words = []
        lines.append(b" ".join(words).decode(errors="replace").strip())
    return lines


ON_RAY = """
from tests.train.recipes import NameRecipe, clip_of
from train.prepare.pools.ray import extract_on_cluster
clips = [clip_of(name) for name in ("a", "sleepy", "sleepy")]
outcomes = extract_on_cluster(NameRecipe(), clips, 2)
next(outcomes)
print("begun", flush=True)
list(outcomes)
"""
"""A program whose two workers sleep for long after their first clip."""


@pytest.mark.full
@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (extra `cluster`)"
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_all_of_ray_ends_with_its_parent(number, tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", ON_RAY],
        cwd=tmp_path,
        env=environment(tmp_path),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    while "begun" not in parent.stdout.readline():
        assert parent.poll() is None
    processes = descendants(parent.pid)
    lines = commands(processes)
    assert sum("ray::" in line for line in lines) >= 2
    before = time.monotonic()
    parent.send_signal(number)
    parent.communicate(timeout=60)
    assert parent.returncode == -number
    agents = [pid for pid, line in zip(processes, lines, strict=True) if AGENTS in line]
    wait_for_ends([pid for pid in processes if pid not in agents], LONGEST)
    # They do no work, and end by themselves; after SIGTERM they are ended.
    longest = LONGEST if number == signal.SIGTERM else AGENTS_LONGEST
    wait_for_ends(agents, longest)
    print(f"Ray: {len(processes)} processes, {time.monotonic() - before:.1f} s")


@pytest.mark.full
def test_training_reads_its_data_without_other_processes(train, tmp_path):
    """Grain reads in threads, which end with their process."""
    parent = start(train, tmp_path, "saving", WAIT)
    wait_for(parent, STOPPED)
    others = commands(descendants(parent.pid))
    (tmp_path / "go").touch()
    parent.communicate(timeout=120)
    # Only the shell that waits, and what it runs.
    names = {line.split()[0].rpartition("/")[2] for line in others if line}
    assert "sh" in names
    assert names <= {"sh", "sleep"}
    assert Path(sys.executable).name not in names
