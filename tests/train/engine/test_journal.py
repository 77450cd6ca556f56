"""A journal's event file, read from disk while the run continues."""

import json
import struct
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from train.engine.journal import Journal
from train.engine.writers import FLUSH_SECONDS, FOLDER, Film, JsonLines, TensorBoard

METRICS = {"loss": 0.5, "gradient_norm": 2.0, "learning_rate": 0.25}
LENGTH = "<Q"
HEADER = 12
"""Bytes of a record's length and of the length's checksum; the event follows."""
CHECKSUM = 4
"""Bytes of the event's checksum, which ends a record."""


def open_journal(work_dir: Path, first_step: int = 1) -> Journal:
    writers = [TensorBoard(work_dir, first_step), JsonLines(work_dir, first_step)]
    return Journal(writers, Console(quiet=True), samples=1, operations=1.0, peak=1.0)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = open_journal(tmp_path)
    yield journal
    journal.close()


def events(work_dir: Path) -> Iterator[Event]:
    """Yield everything that is on disk, in order."""
    for path in sorted((work_dir / FOLDER).glob("events*")):
        data = path.read_bytes()
        position = 0
        while position < len(data):
            # Checksums are not read: a damaged event would not parse.
            start = position + HEADER
            (length,) = struct.unpack_from(LENGTH, data, position)
            yield Event.FromString(data[start : start + length])
            position = start + length + CHECKSUM


def written(work_dir: Path) -> dict[tuple[str, int], Summary.Value]:
    """Return (name, step) -> value."""
    values = {}
    for event in events(work_dir):
        for value in event.summary.value:
            values[value.tag, event.step] = value
    return values


def shown(work_dir: Path) -> list[tuple[int, float]]:
    """Return (step, value) as TensorBoard shows them: the start of a session hides the
    values of its step and of later ones."""
    values = []
    for event in events(work_dir):
        if event.session_log.status == SessionLog.START:
            values = [(step, value) for step, value in values if step < event.step]
        values += [(event.step, value.simple_value) for value in event.summary.value]
    return values


def wait_for(
    work_dir: Path, name: str, step: int
) -> dict[tuple[str, int], Summary.Value]:
    """Return everything on disk as soon as a value is there, or after a time limit."""
    limit = time.monotonic() + 5 * FLUSH_SECONDS
    values = written(work_dir)
    while (name, step) not in values and time.monotonic() < limit:
        time.sleep(0.05)
        values = written(work_dir)
    return values


def test_scalars_are_on_disk_while_the_run_continues(journal: Journal, tmp_path: Path):
    for step, loss in ((2, 0.5), (3, 0.25)):
        journal.add(METRICS | {"loss": loss})
        journal.log(step, steps=4)
        journal.report(step, {"validation_loss": loss / 2})
        values = wait_for(tmp_path, "validation_loss", step)
        expected = METRICS | {"loss": loss, "validation_loss": loss / 2}
        for name, value in expected.items():
            assert values[name, step].simple_value == value


def test_a_picture_is_stored_without_loss(journal: Journal, tmp_path: Path):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (5, 7, 3), np.uint8)
    journal.show("grid", picture, 6)
    values = wait_for(tmp_path, "grid", 6)
    value = values["grid", 6].image
    assert (value.height, value.width) == picture.shape[:2]
    data = np.frombuffer(value.encoded_image_string, np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(decoded, picture)


def test_a_film_plays_at_its_rate(journal: Journal, tmp_path: Path):
    grey = np.linspace(0, 255, 30).astype(np.uint8)
    # 30 pictures of 4 by 6 pixels
    frames = np.broadcast_to(grey[:, None, None, None], (30, 4, 6, 3))
    journal.show("clip", Film(frames, 15.0), 2)
    value = wait_for(tmp_path, "clip", 2)["clip", 2].image
    assert (value.height, value.width) == (4, 6)
    with Image.open(BytesIO(value.encoded_image_string)) as film:
        assert (film.format, film.n_frames) == ("GIF", 30)
        milliseconds = 0
        for index in range(30):
            film.seek(index)
            milliseconds += film.info["duration"]
            assert np.all(np.abs(np.asarray(film.convert("L")) - int(grey[index])) <= 1)
    # 30 pictures last two seconds
    assert milliseconds == 2000


def test_a_resumed_run_hides_the_steps_that_it_writes_again(tmp_path: Path):
    # The run is interrupted after step 4, and resumed from step 2.
    for first, steps in ((1, (1, 2, 3, 4)), (3, (3, 4))):
        journal = open_journal(tmp_path, first)
        for step in steps:
            journal.report(step, {"loss": first})
        journal.close()
        time.sleep(1.1)  # an event file is named by its second
    assert shown(tmp_path) == [(1, 1), (2, 1), (3, 3), (4, 3)]
    losses = [(row["step"], row["loss"]) for row in rows_of(tmp_path)]
    assert losses == shown(tmp_path)


def test_half_a_line_of_a_run_that_was_killed_is_left_out(tmp_path: Path):
    # The second line ends in the middle of a name.
    earlier = '{"step": 1, "loss": 2.0}\n{"step": 2, "lo'
    (tmp_path / "metrics.jsonl").write_text(earlier)
    journal = open_journal(tmp_path, 3)
    journal.report(3, {"loss": 1.0})
    journal.close()
    assert [row["step"] for row in rows_of(tmp_path)] == [1, 3]


def rows_of(work_dir: Path) -> list[dict[str, float]]:
    """Return the lines of a run's metrics."""
    text = (work_dir / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]
