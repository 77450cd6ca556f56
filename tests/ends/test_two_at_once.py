"""Two programs with one destination: the second is refused in a line, or both end whole;
and a stdout that nobody reads."""

import os
import subprocess
import sys

import pytest

from jaxportrait.partial import lock_folder
from jaxportrait.whole import reserve
from tests.ends.running import age, environment, finish, leftovers, start, wait_for
from tests.ends.stopped import STOPPED


@pytest.mark.full
def test_a_run_does_not_touch_the_partial_folder_of_a_living_one(animate, tmp_path):
    first = start(animate, tmp_path, "written")
    wait_for(first, STOPPED)
    (partial,) = tmp_path.glob(".*.partial")
    age(tmp_path)
    finish(animate, tmp_path)
    # The second is whole, and the first still at work.
    assert [path.name for path in tmp_path.glob(".*.partial")] == [partial.name]
    first.terminate()
    first.communicate()
    assert leftovers(tmp_path) == []
    assert (tmp_path / animate.result).is_file()


@pytest.mark.full
@pytest.mark.parametrize("name", ["animate", "edit", "download", "warm_up"])
def test_two_runs_to_one_file_both_end_whole(name, request, tmp_path):
    program = request.getfixturevalue(name)
    pair = [start(program, tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    content = program.read(tmp_path / program.result)
    finish(program, tmp_path)
    assert program.read(tmp_path / program.result) == content
    assert leftovers(tmp_path) == []


@pytest.mark.full
@pytest.mark.parametrize(
    "name", ["process", "frames_by_two", "synthesize", "train", "evaluate"]
)
def test_a_second_run_into_one_folder_is_refused(name, request, tmp_path):
    program = request.getfixturevalue(name)
    (tmp_path / "out").mkdir()
    lock = lock_folder(tmp_path / "out")
    assert lock is not None
    errors = finish_refused(program, tmp_path)
    os.close(lock)
    assert "error: out is in use by another run: wait until it ends" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.full
@pytest.mark.parametrize("name", ["convert", "export"])
def test_a_second_run_to_one_checkpoint_is_refused(name, request, tmp_path):
    program = request.getfixturevalue(name)
    with reserve(tmp_path / "out"):
        errors = finish_refused(program, tmp_path)
    assert "out is being written by another run: wait until it ends" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def finish_refused(program, folder) -> str:
    """Run a program that is refused; return what it prints on stderr."""
    second = start(program, folder)
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 2, errors
    return errors


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        # The video stands when its name is printed.
        ("animate", {0}),
        # 128 + 13: the status that SIGPIPE leaves in a shell.
        ("download", {141}),
        ("convert", {141}),
        ("process", {141}),
        ("evaluate", {141}),
    ],
)
def test_a_closed_stdout_ends_quietly(name, statuses, request, tmp_path):
    program = request.getfixturevalue(name)
    command = [sys.executable, "-m", program.module, *program.options]
    # The reader ends at once, and the shell tells the program's status.
    pipeline = '"$@" | true; exit ${PIPESTATUS[0]}'
    result = subprocess.run(
        ["bash", "-c", pipeline, "bash", *command],
        cwd=tmp_path,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert result.returncode in statuses, result.stderr
    assert "Traceback" not in result.stderr
    assert "Broken pipe" not in result.stderr
    assert leftovers(tmp_path) == []
    # What is finished stays.
    if name in ("animate", "convert"):
        assert program.read(tmp_path / program.result)
