"""A journal's event file, read as it lies on disk while the run goes on."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from train.engine.journal import FLUSH_SECONDS, FOLDER, Journal

METRICS = {"loss": 0.5, "gradient_norm": 2.0, "learning_rate": 0.25}
HEADER, LENGTH, CHECKSUM = 12, "<Q", 4
"""A record: its length and the length's checksum, the event, its checksum."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path, Console(quiet=True), samples=1, flops=1.0, peak=1.0)
    yield journal
    journal.close()


def events(work_dir: Path) -> Iterator[Event]:
    """All that is on disk, in order."""
    for path in sorted((work_dir / FOLDER).glob("events*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            end = at + HEADER + struct.unpack_from(LENGTH, data, at)[0]
            yield Event.FromString(data[at + HEADER : end])
            at = end + CHECKSUM


def written(work_dir: Path) -> dict[tuple[str, int], Summary.Value]:
    """(name, step) -> value."""
    return {
        (value.tag, event.step): value
        for event in events(work_dir)
        for value in event.summary.value
    }


def shown(work_dir: Path) -> list[tuple[int, float]]:
    """(step, value) as TensorBoard shows them: where a session starts, what lies at its
    step and later is hidden."""
    values = []
    for event in events(work_dir):
        if event.session_log.status == SessionLog.START:
            values = [(step, value) for step, value in values if step < event.step]
        values += [(event.step, value.simple_value) for value in event.summary.value]
    return values


def wait_for(
    work_dir: Path, name: str, step: int
) -> dict[tuple[str, int], Summary.Value]:
    """What is on disk as soon as a value is, or a while after it should be."""
    limit = time.monotonic() + 5 * FLUSH_SECONDS
    while (name, step) not in (
        values := written(work_dir)
    ) and time.monotonic() < limit:
        time.sleep(0.05)
    return values


def test_scalars_are_on_disk_while_the_run_goes_on(journal: Journal, tmp_path: Path):
    for step, loss in ((2, 0.5), (3, 0.25)):
        journal.add(METRICS | {"loss": loss})
        journal.log(step, steps=4)
        journal.scalar("validation_loss", loss / 2, step)
        values = wait_for(tmp_path, "validation_loss", step)
        found = {
            name: values[name, step].simple_value
            for name in (*METRICS, "validation_loss")
        }
        assert found == METRICS | {"loss": loss, "validation_loss": loss / 2}


def test_a_picture_is_kept_as_it_is(journal: Journal, tmp_path: Path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    journal.image("grid", picture, 6)
    value = wait_for(tmp_path, "grid", 6)["grid", 6].image
    assert (value.height, value.width) == picture.shape[:2]
    decoded = cv2.imdecode(
        np.frombuffer(value.encoded_image_string, np.uint8), cv2.IMREAD_COLOR_RGB
    )
    np.testing.assert_array_equal(decoded, picture)


def test_a_resumed_run_hides_the_steps_that_it_writes_again(tmp_path: Path):
    for first, steps in ((1, (1, 2, 3, 4)), (3, (3, 4))):
        journal = Journal(
            tmp_path,
            Console(quiet=True),
            samples=1,
            flops=1.0,
            peak=1.0,
            first_step=first,
        )
        for step in steps:
            journal.scalar("loss", first, step)
        journal.close()
        time.sleep(1.1)  # an event file is named by its second
    assert shown(tmp_path) == [(1, 1), (2, 1), (3, 3), (4, 3)]
