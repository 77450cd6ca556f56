"""Every program, ended at moments that events choose: it ends by the signal, leaves
nothing half-written, and the same command then makes what an uninterrupted run makes."""

import signal
import time
from pathlib import Path

import pytest

from jaxportrait.whole import RESERVATION
from tests.ends.programs import COMPILING, MOMENTS, Program
from tests.ends.running import (
    age,
    descendants,
    finish,
    leftovers,
    start,
    wait_for,
    wait_for_ends,
)
from tests.ends.stopped import STOPPED

KILL, TERM, INT, HUP = signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP
WORDS = ("interrupted", "terminated", "hung up")
MOST_SECONDS = 5.0
"""Time between a signal and the end of a program."""
WAIT_FOR_SIGNAL = "while [ ! -e go ]; do sleep 0.05; done"
"""Shell command at the moment of a program that finishes its work after a signal."""
QUICK = [
    ("animate", "written", TERM),
    ("animate", COMPILING, INT),
    ("convert", "begun", KILL),
    ("process_by_two", "begun", HUP),
]
ALL = [
    (name, moment, number)
    for name, moments in MOMENTS.items()
    for moment in moments
    for number in (KILL, TERM, INT, HUP)
]


def end(program: Program, folder: Path, moment: str, number: int) -> str:
    """End a program at a moment; return a row about it."""
    action = WAIT_FOR_SIGNAL if moment == "saving" else ""
    process = start(program, folder, moment, action)
    wait_for(process, COMPILING if moment == COMPILING else STOPPED)
    workers = descendants(process.pid)
    before = time.monotonic()
    process.send_signal(number)
    (folder / "go").touch()
    _, errors = process.communicate(timeout=60)
    seconds = time.monotonic() - before
    assert process.returncode == -number, errors
    assert seconds < MOST_SECONDS
    # Workers have a second more than their parent.
    wait_for_ends(workers, MOST_SECONDS + 1 - seconds)
    assert "Traceback" not in errors
    if number != KILL:
        lines = [line for line in errors.splitlines() if COMPILING not in line]
        assert any(line.startswith(WORDS) for line in lines), errors
        assert leftovers(folder) == []
    return f"{-process.returncode} | {seconds:.2f} | {len(leftovers(folder))}"


def resume(program: Program, folder: Path) -> None:
    """Run the same command again, later; nothing is left of the first."""
    # A reservation is taken over, which needs no line.
    left = [name for name in leftovers(folder) if f".{RESERVATION}." not in name]
    had_leftovers = bool(left)
    age(folder)
    errors = finish(program, folder)
    assert leftovers(folder) == []
    assert ("left behind by a run" in errors) == had_leftovers


@pytest.mark.parametrize(("name", "moment", "number"), QUICK)
def test_a_program_that_is_ended_leaves_nothing_and_resumes(
    name, moment, number, request, tmp_path
):
    program = request.getfixturevalue(name)
    end(program, tmp_path, moment, number)
    resume(program, tmp_path)
    assert program.read(tmp_path / program.result)


@pytest.mark.full
@pytest.mark.parametrize(("name", "moment", "number"), ALL)
def test_every_program_ends_whole_at_every_moment(
    name, moment, number, request, tmp_path, finished
):
    program = request.getfixturevalue(name)
    row = end(program, tmp_path, moment, number)
    resume(program, tmp_path)
    content = program.read(tmp_path / program.result)
    assert content == finished(program)
    sign = signal.Signals(number).name
    # The table of docs/lab/ends.md, with `pytest -s`.
    print(f"| {name} | {moment} | {sign} | {row} | {len(leftovers(tmp_path))} |")
