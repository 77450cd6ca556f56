"""Signals that end a program: a line, a clean folder, and an end by the signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxportrait.console.interrupts import receive_signals

ROOT = Path(__file__).parents[2]
SIGNALS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "hung up",
}

WRITER = """
import ctypes, sys, threading, time
from jaxportrait.console.interrupts import end, receive_signals
from jaxportrait.whole import write_whole
with receive_signals(lambda number: end(number, "start it again")):
    with write_whole(sys.argv[1]) as partial:
        partial.write_text("half")
        print("begun", flush=True)
        {work}
"""
# A signal ends one sleep, and its handler does not run within it.
STUCK = "while True: ctypes.CDLL(None).sleep(60)"
BUSY = "while True: sum(range(1000))"
SLOW_TO_CLEAN = """
        from jaxportrait import partial as module
        module.Partial.remove = lambda self: time.sleep(60)
        print("begun", flush=True)
        time.sleep(60)
"""


def start(work: str, path: Path, ignored: str = "") -> subprocess.Popen[str]:
    """Start a program that is in the middle of writing when this returns.

    Args:
      work: statement that it executes meanwhile.
      path: file to write.
      ignored: names of the signals that it ignores from its start, as under `nohup`.
    """
    command = [sys.executable, "-c", WRITER.format(work=work), str(path)]
    if ignored:
        shell = f"trap '' {ignored}; exec \"$@\""
        command = ["sh", "-c", shell, "sh", *command]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for _ in range(1 + work.count("print(")):
        assert process.stdout is not None
        process.stdout.readline()
    return process


@pytest.mark.parametrize("work", [STUCK, BUSY], ids=["stuck", "busy"])
@pytest.mark.parametrize("number", SIGNALS, ids=SIGNALS.values())
def test_a_signal_ends_the_program_and_leaves_nothing(tmp_path, number, work):
    path = tmp_path / "note"
    process = start(work, path)
    before = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - before < 5
    assert process.returncode == -number
    line = f"{SIGNALS[number]}: {path} was not written; start it again\n"
    assert errors == line
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    process = start(BUSY, tmp_path / "note", "HUP INT")
    for number in (signal.SIGHUP, signal.SIGINT):
        process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.terminate()
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def test_a_second_signal_ends_at_once(tmp_path):
    process = start(SLOW_TO_CLEAN, tmp_path / "note")
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    before = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert time.monotonic() - before < 2
    assert process.returncode == -signal.SIGINT


@pytest.mark.full
def test_cleaning_that_takes_too_long_is_given_up(tmp_path):
    process = start(SLOW_TO_CLEAN, tmp_path / "note")
    before = time.monotonic()
    process.terminate()
    process.communicate()
    assert 4 < time.monotonic() - before < 8
    assert process.returncode == -signal.SIGTERM


def test_an_error_while_the_program_ends_is_not_reported(tmp_path):
    # The main thread fails, since its files are removed under it.
    program = """
import sys
from jaxportrait.console.errors import exit_on_error
from jaxportrait.whole import write_whole
with exit_on_error(), write_whole(sys.argv[1]) as partial:
    partial.write_text("half")
    print("begun", flush=True)
    while True:
        partial.stat()
"""
    command = [sys.executable, "-c", program, str(tmp_path / "note")]
    process = subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert errors == f"terminated: {tmp_path / 'note'} was not written\n"


def test_handlers_are_restored():
    numbers = tuple(SIGNALS)
    before = [signal.getsignal(number) for number in numbers]
    with receive_signals(lambda number: None), receive_signals(lambda number: None):
        pass
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_the_inner_receiver_has_the_signal():
    received = []
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            receive_signals(lambda number: received.append("outer")),
            receive_signals(received.append),
        ):
            os.kill(os.getpid(), signal.SIGTERM)
            deadline = time.monotonic() + 10
            while not received and time.monotonic() < deadline:
                time.sleep(0.01)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert received == [signal.SIGTERM]
