"""The queue of jobs: fair, and ended whole or not at all."""

import threading
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from infer.job import INTERNAL, JobState
from infer.jobs import JobLimits, JobQueue, QueueFullError, UnknownJobError
from infer.uploads import Uploads
from jaxportrait.job import FrameDone, JobWarning, StageStarted

SECONDS = 10.0
"""Limit of every wait, so that a defect fails and does not hang."""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Gate:
    """Work that waits until a test opens it, and notes its order."""

    def __init__(self):
        self.is_open = threading.Event()
        self.order: list[str] = []

    def work(self, name: str, result: Path | None = None):
        def run(device, notify):
            self.order.append(name)
            notify(StageStarted("rendering", 4))
            assert self.is_open.wait(SECONDS)
            notify(FrameDone(1, 4))
            if result is not None:
                result.write_bytes(b"clip")
            return result

        return run


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(gate, clock):
    limits = JobLimits(waiting=6, waiting_each=3, expiry=100)
    jobs = JobQueue(["cpu"], limits, clock)
    yield jobs
    gate.is_open.set()
    jobs.close()


def started(queue: JobQueue, job: str) -> None:
    """Wait until a job runs."""
    for _ in range(1000):
        if queue.progress(job).stage:
            return
        threading.Event().wait(0.005)
    raise AssertionError("the job does not start")


def test_a_job_leaves_a_result(queue, gate, tmp_path):
    job = queue.submit(gate.work("a", tmp_path / "a.mp4"))
    gate.is_open.set()
    assert queue.wait(job, SECONDS).state == JobState.DONE
    assert queue.result(job).read_bytes() == b"clip"


def test_clients_take_turns(queue, gate):
    jobs = [queue.submit(gate.work(f"a{n}"), client="a") for n in range(1)]
    started(queue, jobs[0])
    jobs += [queue.submit(gate.work(f"a{n}"), client="a") for n in range(1, 4)]
    jobs += [queue.submit(gate.work(f"b{n}"), client="b") for n in range(2)]
    # The second client's first job is next, and its second waits for a turn.
    assert [queue.progress(job).ahead for job in jobs] == [0, 1, 3, 4, 0, 2]
    gate.is_open.set()
    for job in jobs:
        assert queue.wait(job, SECONDS).state == JobState.DONE
    assert gate.order == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_progress_tells_the_time_left(queue, gate, clock):
    def work(device, notify):
        notify(JobWarning("faces", "2 faces found"))
        notify(StageStarted("rendering", 10))
        clock.seconds = 4
        notify(FrameDone(4, 10))
        gate.order.append("here")
        assert gate.is_open.wait(SECONDS)

    job = queue.submit(work)
    while not gate.order:
        threading.Event().wait(0.005)
    progress = queue.progress(job)
    assert (progress.stage, progress.done, progress.total) == ("rendering", 4, 10)
    # Four frames in four seconds, and six remain.
    assert progress.seconds_left == 6
    assert progress.remarks == ("2 faces found",)
    clock.seconds = 8
    assert queue.progress(job).seconds_left == 12


def test_a_running_job_is_cancelled_at_its_next_event(queue, gate, tmp_path):
    job = queue.submit(gate.work("a", tmp_path / "a.mp4"))
    started(queue, job)
    queue.cancel(job)
    gate.is_open.set()
    assert queue.wait(job, SECONDS).state == JobState.CANCELLED
    assert queue.result(job) is None
    assert not (tmp_path / "a.mp4").exists()


def test_a_waiting_job_is_cancelled_at_once(queue, gate):
    first = queue.submit(gate.work("a"))
    started(queue, first)
    second = queue.submit(gate.work("b"))
    queue.cancel(second)
    assert queue.progress(second).state == JobState.CANCELLED
    gate.is_open.set()
    queue.wait(first, SECONDS)
    assert gate.order == ["a"]


def test_cancelling_a_job_that_is_done_deletes_its_result(queue, gate, tmp_path):
    job = queue.submit(gate.work("a", tmp_path / "a.mp4"))
    gate.is_open.set()
    queue.wait(job, SECONDS)
    queue.cancel(job)
    assert not (tmp_path / "a.mp4").exists()
    assert queue.progress(job).state == JobState.CANCELLED


def test_inputs_are_deleted_and_named_as_the_user_does(queue):
    uploads = Uploads()
    file = BytesIO()
    Image.new("RGB", (16, 16)).save(file, "PNG")
    file.seek(0)
    upload = uploads.receive(file, "me.png", ["picture"])

    def work(device, notify):
        raise ValueError(f"{upload.path} shows\nno face for /srv/b.mp4")

    names = {"/srv/b.mp4": "the clip"}
    job = queue.submit(work, uploads=[upload], names=names)
    progress = queue.wait(job, SECONDS)
    assert progress.state == JobState.FAILED
    assert progress.error == "me.png shows no face for the clip"
    assert not upload.path.exists()
    uploads.close()


def test_a_defect_is_logged_and_does_not_stop_the_queue(queue, gate, capsys):
    def work(device, notify):
        raise KeyError("a secret")

    job = queue.submit(work)
    assert queue.wait(job, SECONDS).error == INTERNAL
    assert "KeyError: 'a secret'" in capsys.readouterr().err
    gate.is_open.set()
    assert queue.wait(queue.submit(gate.work("b")), SECONDS).state == JobState.DONE


def test_a_full_queue_says_so(queue, gate):
    started(queue, queue.submit(gate.work("a"), client="a"))
    for client in "aaabbb":
        queue.submit(gate.work("more"), client=client)
    with pytest.raises(QueueFullError, match="6 jobs wait already"):
        queue.submit(gate.work("more"), client="c")


def test_one_client_does_not_fill_the_queue(queue, gate):
    started(queue, queue.submit(gate.work("a"), client="a"))
    for _ in range(3):
        queue.submit(gate.work("more"), client="a")
    with pytest.raises(QueueFullError, match="3 of your jobs wait already"):
        queue.submit(gate.work("more"), client="a")


def test_results_expire(queue, gate, clock, tmp_path):
    gate.is_open.set()
    job = queue.submit(gate.work("a", tmp_path / "a.mp4"))
    queue.wait(job, SECONDS)
    clock.seconds = 99
    assert queue.result(job).exists()
    clock.seconds = 101
    with pytest.raises(UnknownJobError, match="has expired"):
        queue.progress(job)
    assert not (tmp_path / "a.mp4").exists()


def test_closing_ends_all_jobs(gate, tmp_path):
    queue = JobQueue(["cpu"])
    jobs = [queue.submit(gate.work("a", tmp_path / "a.mp4")) for _ in range(3)]
    started(queue, jobs[0])
    threading.Timer(0.05, gate.is_open.set).start()
    queue.close()
    assert gate.order == ["a"]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(QueueFullError, match="shutting down"):
        queue.submit(gate.work("b"))


def test_devices_work_at_once(gate):
    queue = JobQueue(["cpu:0", "cpu:1"])
    jobs = [queue.submit(gate.work(name)) for name in "ab"]
    for job in jobs:
        started(queue, job)
    gate.is_open.set()
    queue.close()
    assert sorted(gate.order) == ["a", "b"]
