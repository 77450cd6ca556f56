"""A pool of processes whose workers cannot start, or are killed."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pytest
from pebble import ProcessPool

from tests.train.recipes import BROKEN, NameRecipe, clip_of
from train.prepare.pools.local import extract_locally
from train.prepare.recipe import ExtractorError

CLIPS = [clip_of(name) for name in ("a", "b", "c")]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_extractor_that_cannot_be_loaded_stops_the_job(workers):
    with pytest.raises(ExtractorError, match=BROKEN):
        list(extract_locally(NameRecipe("broken"), CLIPS, workers))


def test_a_worker_that_ends_before_its_first_clip_stops_the_job():
    message = r"a worker ended while it loaded \(exit status 7\).*fewer --workers"
    with pytest.raises(ExtractorError, match=message):
        list(extract_locally(NameRecipe("fatal"), CLIPS, 2))


def test_a_killed_worker_is_replaced_and_its_exit_status_is_told():
    clips = [clip_of("deadly"), clip_of("last"), *CLIPS]
    outcomes = extract_locally(NameRecipe(), clips, 2)
    reasons = {clip.name: outcome.entry.reason for clip, outcome in outcomes}
    assert reasons.pop("deadly") == "its worker was killed (exit status -9)"
    assert reasons.pop("last") == "its worker was killed (exit status 3)"
    assert reasons == {"a": "", "b": "", "c": ""}


def test_a_worker_that_is_killed_between_clips_is_replaced():
    clips = [clip_of(f"{index}") for index in range(12)]
    reasons = {}
    for clip, outcome in extract_locally(NameRecipe(), clips, 2):
        if len(reasons) == 1:
            active_children()[0].kill()
        reasons[clip.name] = outcome.entry.reason
    assert reasons.keys() == {clip.name for clip in clips}
    failures = [reason for reason in reasons.values() if reason]
    # at most the clip that the worker had begun is lost
    assert failures in ([], ["its worker was killed (exit status -9)"])


def test_workers_that_are_killed_at_rest_lose_no_clip():
    outcomes = extract_locally(NameRecipe(), CLIPS * 2, 2)
    reasons = [next(outcomes)[1].entry.reason]
    time.sleep(1)
    for child in active_children():
        child.kill()
    time.sleep(1)
    reasons += [outcome.entry.reason for _, outcome in outcomes]
    assert reasons == [""] * 6


def test_a_clip_that_is_scheduled_as_its_pool_breaks_is_not_waited_for(monkeypatch):
    check = ProcessPool._check_pool_status
    calls = []

    def check_and_break(pool):
        check(pool)
        calls.append(pool)
        # Two workers load first, and then the first clip is scheduled.
        if len(calls) == 3:
            for child in active_children():
                child.kill()
            while pool.active:
                time.sleep(0.05)

    monkeypatch.setattr(ProcessPool, "_check_pool_status", check_and_break)
    monkeypatch.setattr("jaxportrait.console.workers.CHECK_SECONDS", 0.1)
    outcomes = extract_locally(NameRecipe(), CLIPS, 2)
    reasons = {clip.name: outcome.entry.reason for clip, outcome in outcomes}
    assert reasons == {"a": "", "b": "", "c": ""}


def test_no_worker_outlives_a_job_that_is_given_up():
    outcomes = extract_locally(NameRecipe(), CLIPS, 2)
    next(outcomes)
    assert active_children()
    outcomes.close()
    assert not active_children()


SLEEPERS = """
from tests.train.recipes import NameRecipe, clip_of
from train.prepare.pools.local import extract_locally
from multiprocessing import active_children
if __name__ == "__main__":
    clips = [clip_of(name) for name in ("a", "b", "sleepy", "sleepy")]
    outcomes = extract_locally(NameRecipe(), clips, 2)
    next(outcomes)
    print(*[child.pid for child in active_children()], flush=True)
    list(outcomes)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    root = str(Path(__file__).parents[4])
    parent = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    parent.send_signal(signal.SIGKILL)
    parent.communicate(timeout=60)
    assert len(workers) == 2
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    # a zombie has ended, and waits for its new parent to notice
    return status.exists() and status.read_text().rsplit(")")[1].split()[0] != "Z"
