"""Ctrl-C within the inference program."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from jaxportrait.console.interrupts import remember_interrupts
from tests.infer.program import command
from tests.inputs import write_wave

LISTEN = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with it ignored
runpy.run_module("infer", run_name="__main__")
"""


def test_ctrl_c_leaves_nothing(inputs, tmp_path, voice):
    write_wave(tmp_path / "long.wav", np.tile(voice, 60))
    long = {**inputs, "-d": tmp_path / "long.wav"}
    # Two minutes of sound take longer than this test.
    process = subprocess.Popen(
        [sys.executable, "-c", LISTEN, *command(long)[3:]],
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(1200):  # until the file is being written
        if list(tmp_path.rglob(".jaxportrait*")) or process.poll() is not None:
            break
        time.sleep(0.1)
    # Let it render, so that Ctrl-C falls within a frame.
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted: nothing was written" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.fixture
def default_interrupts() -> Iterator[None]:
    """Python's own handler of Ctrl-C, which programs in the background of a shell are
    started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_interrupts")
def test_ctrl_c_within_a_callback_is_not_lost_and_says_nothing():
    class Callback:
        # Python prints and forgets errors of `__del__`.
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with remember_interrupts() as check:
        check()
        Callback()  # what is raised there, Python forgets
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
