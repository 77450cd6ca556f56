"""The desk of the page: turns of people, pictures of progress, and cancelling."""

import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infer.job import JobState, Progress
from infer.jobs import JobLimits, QueueFullError
from infer.web.desk import Desk
from infer.web.models import Models
from infer.web.panel import progress_line, progress_page, remarks_page, time_words
from infer.web.pictures import LONGEST
from jaxportrait.job import FrameDone, StageStarted


@pytest.fixture
def desk():
    desk = Desk(Models({}), JobLimits(waiting=5))
    yield desk
    desk.close()


class Gate:
    """Work that waits until it is let through."""

    def __init__(self, path: Path):
        self.path = path
        self.started = threading.Event()
        self.open = threading.Event()

    def make(self, notify) -> Path:
        # A cancelled job ends at its next event.
        notify(StageStarted("rendering", 2))
        self.started.set()
        assert self.open.wait(10)
        notify(FrameDone(1, 2, np.zeros((900, 1200, 3), np.uint8)))
        self.path.write_bytes(b"clip")
        return self.path


def test_people_take_turns(desk, tmp_path):
    order = []
    gate = Gate(tmp_path / "first.mp4")
    first = desk.submit(desk.clips, gate.make, "ann", "talk")
    assert gate.started.wait(10)

    def work(name: str):
        def make(notify) -> Path:
            order.append(name)
            return tmp_path / name

        return make

    for number in range(3):
        last = desk.submit(desk.clips, work(f"ann {number}"), "ann", "talk")
    other = desk.submit(desk.clips, work("bob"), "bob", "talk")
    gate.open.set()
    for ticket in (first, last, other):
        desk.clips.wait(ticket.job_id, 10)
    # Bob waits for no more than one further clip of Ann's.
    assert order.index("bob") <= 1


def test_pictures_do_not_wait_for_clips(desk, tmp_path):
    gate = Gate(tmp_path / "clip.mp4")
    desk.submit(desk.clips, gate.make, "ann", "talk")
    assert gate.started.wait(10)
    preview = desk.submit(
        desk.pictures, lambda notify: tmp_path / "a.jpg", "bob", "preview"
    )
    assert desk.pictures.wait(preview.job_id, 10).state == JobState.DONE
    gate.open.set()


def test_a_ticket_has_a_small_picture_of_the_latest_frame(desk, tmp_path):
    gate = Gate(tmp_path / "clip.mp4")
    gate.open.set()
    ticket = desk.submit(desk.clips, gate.make, "ann", "talk")
    desk.clips.wait(ticket.job_id, 10)
    assert max(Image.open(BytesIO(ticket.picture)).size) == LONGEST
    assert desk.result(ticket.job_id) == gate.path
    assert desk.result("another id") is None


def test_a_cancelled_job_leaves_nothing(desk, tmp_path):
    gate = Gate(tmp_path / "clip.mp4")
    ticket = desk.submit(desk.clips, gate.make, "ann", "talk")
    assert gate.started.wait(10)
    # Another person's button does nothing to it.
    desk.cancel("bob", "talk")
    desk.cancel("ann", "talk")
    gate.open.set()
    assert desk.clips.wait(ticket.job_id, 10).state == JobState.CANCELLED
    assert not gate.path.exists()
    assert desk.open_jobs == 0


def test_a_full_queue_says_so(desk, tmp_path):
    gate = Gate(tmp_path / "clip.mp4")
    desk.submit(desk.clips, gate.make, "ann", "talk")
    assert gate.started.wait(10)
    for number in range(5):
        desk.submit(desk.clips, gate.make, f"person {number}", "talk")
    with pytest.raises(QueueFullError, match="5 jobs wait already: try again later"):
        desk.submit(desk.clips, gate.make, "late", "talk")
    gate.open.set()


def test_progress_is_a_line_with_the_time_left():
    assert progress_line(Progress(JobState.QUEUED, ahead=2)) == "Waiting: 2 jobs ahead"
    assert progress_line(Progress(JobState.RUNNING, stage="loading")) == "Loading"
    running = Progress(JobState.RUNNING, 0, "rendering", 3, 9, 65.4)
    assert progress_line(running) == "Rendering: frame 3 of 9, 1 min 5 s left"
    assert time_words(3.6) == "4 s"


def test_words_of_jobs_are_no_markup():
    progress = Progress(JobState.RUNNING, remarks=("<script>alert(1)</script>", "b"))
    for page in (progress_page(progress, b""), remarks_page(progress)):
        assert "<script>" not in page
        assert "&lt;script&gt;" in page


def test_a_private_folder_is_not_in_an_error(tmp_path):
    desk = Desk(Models({}), folder=tmp_path)

    def fail(notify) -> Path:
        raise ValueError(f"{tmp_path}/a1b2.png is no picture: choose another one")

    ticket = desk.submit(desk.clips, fail, "ann", "talk")
    progress = desk.clips.wait(ticket.job_id, 10)
    desk.close()
    assert progress.error == "a1b2.png is no picture: choose another one"
