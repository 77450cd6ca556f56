"""Programs in processes of their own: started to stop at a moment, and what they leave
behind."""

import os
import subprocess
import sys
import time
from pathlib import Path

from jaxportrait.partial import YOUNG_SECONDS
from tests.ends.programs import COMPILING, WORKING, Program

ROOT = Path(__file__).parents[2]
IN_WORKERS = Path(__file__).parent / "in_workers"
"""Folder of a module that Python runs at the start of every process."""


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a program that is run in a folder."""
    # Programs that are in the cache are not compiled.
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "xla")}
    return os.environ | cache | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


def start(
    program: Program, folder: Path, moment: str = "never", action: str = ""
) -> subprocess.Popen[str]:
    """Start a program in a folder.

    Args:
      program: program to start.
      folder: its working folder.
      moment: moment at which it stops, or does something else.
      action: shell command that it runs at the moment in place of stopping there.
    """
    is_line = moment == COMPILING
    words = [moment, program.module, *program.options]
    variables = {"AT_MOMENT": action, "JAX_LOG_COMPILES": str(int(is_line))}
    if is_line or moment == WORKING:
        words[0] = "never"
    if moment == WORKING:
        variables["PYTHONPATH"] = os.pathsep.join([str(IN_WORKERS), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ends.stopped", *words],
        cwd=folder,
        env=environment(folder) | variables,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Return when a program has printed a line with this text on stderr."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(f"it ended before: {''.join(lines)}")


def finish(program: Program, folder: Path) -> str:
    """Run a program to its end; return what it has printed on stderr."""
    process = start(program, folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def leftovers(folder: Path) -> list[str]:
    """Return the names of partial files and folders."""
    return [path.name for path in folder.rglob(".*") if "partial" in path.name]


def age(folder: Path) -> None:
    """Let partial folders look older than those that always stay."""
    when = time.time() - 2 * YOUNG_SECONDS
    for partial in folder.rglob(".*.partial"):
        for path in (*partial.rglob("*"), partial):
            os.utime(path, (when, when))


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and theirs."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # A program's name stands in brackets, and may hold some itself.
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # A zombie has ended.
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    members = []
    waiting = [pid]
    while waiting:
        offspring = children.get(waiting.pop(), [])
        members += offspring
        waiting += offspring
    return members


def is_running(pid: int) -> bool:
    """Return whether a process has not ended; a zombie has."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def wait_for_ends(pids: list[int], seconds: float) -> None:
    """Return when processes have ended; raise an AssertionError if they need longer."""
    deadline = time.monotonic() + seconds
    while any(is_running(pid) for pid in pids):
        alive = [pid for pid in pids if is_running(pid)]
        assert time.monotonic() < deadline, f"{alive} still run"
        time.sleep(0.05)
