"""Batches by number, read ahead by threads or by processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import numpy as np
import pytest

from tests.train.runs import make_dataset
from train.data.batches import Batches, Rows
from train.data.dataset import Dataset
from train.data.parents import explain_end
from train.data.shards import DatasetError
from train.flow.data import batches, windows

ROWS = Rows(4)
READER = """
import signal, sys
from pathlib import Path
from train.data.batches import Rows
from train.data.dataset import open_dataset
from train.flow.data import batches

if __name__ == "__main__":
    signals = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    iterator = batches(open_dataset(Path(sys.argv[1])), "lip", 0, Rows(4), 1)
    next(iterator)
    print("ready", flush=True)
    signal.sigwait(signals)
    # As a run that finishes its update.
    for _ in range(20):
        next(iterator)
    iterator.close()
"""
"""A process that ends by SIGTERM after some more batches."""
EARLY = """
import multiprocessing, os, signal, sys, threading
from pathlib import Path
from train.data.batches import Rows
from train.data.dataset import open_dataset
from train.data.shards import DatasetError
from train.flow.data import batches

if __name__ == "__main__":
    received = []
    signal.signal(signal.SIGTERM, lambda *_: received.append(1))
    # As a scheduler does, while the worker still loads.
    threading.Timer(0.5, os.killpg, (0, signal.SIGTERM)).start()
    iterator = batches(open_dataset(Path(sys.argv[1])), "lip", 0, Rows(4), 1)
    next(iterator)
    assert received
    for worker in multiprocessing.active_children():
        worker.kill()
    try:
        for _ in range(100):
            next(iterator)
    except DatasetError as error:
        print(error, flush=True)
        os._exit(0)
"""
"""A process whose worker gets a signal early, and is killed later."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("data") / "clips", "encoder")


@pytest.mark.parametrize(
    "workers", [2, pytest.param(4, marks=pytest.mark.full)], ids=str
)
def test_any_number_of_workers_reads_the_same_batches(dataset: Dataset, workers: int):
    expected = windows(dataset, "train", "lip", 0, ROWS)
    iterator = batches(dataset, "lip", 0, ROWS, workers)
    # Resumed at a number that threads reached.
    threads = batches(dataset, "lip", 0, ROWS)
    for number in range(3):
        chex.assert_trees_all_equal(next(threads), expected[number])
    state = threads.get_state()
    assert state == {"batch": 3}
    iterator.set_state(state)
    for number in range(3, 8):
        chex.assert_trees_all_equal(next(iterator), expected[number])
    # And back.
    threads.set_state(iterator.get_state())
    iterator.close()
    chex.assert_trees_all_equal(next(threads), expected[8])
    threads.close()


def test_a_state_of_an_earlier_version_is_refused(dataset: Dataset):
    iterator = Batches(windows(dataset, "train", "lip", 0, ROWS))
    with pytest.raises(DatasetError, match="another order: continue it with that"):
        iterator.set_state({"next_index": 7})


def start(text: str, dataset: Dataset, folder: Path) -> subprocess.Popen[str]:
    """Start a program that reads a data set, in a process group of its own."""
    script = folder / "program.py"
    script.write_text(text)
    return subprocess.Popen(
        [sys.executable, str(script), str(dataset.path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent_and_not_before(
    dataset: Dataset, tmp_path: Path, number: int
):
    process = start(READER, dataset, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    workers = children_of(process.pid)
    assert workers
    if number == signal.SIGKILL:
        process.kill()
    else:
        # As a scheduler does, which signals all processes of a job.
        os.killpg(process.pid, number)
    process.communicate(timeout=180)
    assert process.returncode == (-number if number == signal.SIGKILL else 0)
    deadline = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


def children_of(parent: int) -> list[int]:
    """Return the processes that a process started."""
    listing = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for task in listing for child in task.read_text().split()]


def is_running(process: int) -> bool:
    """Return whether a process runs; one that nobody waits for may remain as a
    zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_rows_are_numbered_throughout(dataset: Dataset):
    batch = windows(dataset, "train", "lip", 0, Rows(6, process=1, processes=3))[4]
    np.testing.assert_array_equal(batch["row"], [1, 4])


def test_early_signals_leave_workers_alone_and_a_lost_worker_is_named(
    dataset: Dataset, tmp_path: Path
):
    process = start(EARLY, dataset, tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert output.startswith("a worker process that reads data has ended: it was kil")


def test_reasons_of_lost_workers():
    full = RuntimeError("Worker process was terminated unexpectedly with exit code -7")
    assert "/dev/shm is full" in str(explain_end(full))
    other = RuntimeError("Worker process was terminated unexpectedly with exit code 3")
    assert "exit code is 3" in str(explain_end(other))
    assert explain_end(RuntimeError("no element")) is None
