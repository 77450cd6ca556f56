"""The program for batches, as a user runs it: workers, results, and resuming."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import jax
import pytest

from infer.batch import run
from infer.batch.__main__ import main
from infer.batch.plan import Task
from infer.batch.results import Entry, read_results
from infer.batch.worker import work
from infer.config import Options
from jaxportrait.partial import lock_folder

TABLE = """source,driving,output
a.png,b.wav,one.mp4
a.png,bad.wav,two.mp4
a.png,b.wav,three.mp4
"""
BAD_LINES = """a.png,b.wav
a.png,a.wav,../out/three.mp4
"""


@pytest.fixture
def folder(batch_inputs, tmp_path) -> Path:
    """A folder of inputs with a table, which a test may change."""
    shutil.copytree(batch_inputs, tmp_path / "in")
    (tmp_path / "in" / "rows.csv").write_text(TABLE)
    return tmp_path


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def words(folder, cache, tiny_checkpoint) -> list[str]:
    options = f"-o {folder}/out --checkpoint {tiny_checkpoint} --output-fps 10"
    more = f"--detector none --steps 2 --compilation-cache {cache}"
    return [*options.split(), *more.split()]


def run_program(monkeypatch, *words: str) -> int:
    """Run the program in this process; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["infer.batch", *words])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def work_here(tasks: list[Task], *_: object) -> Iterator[tuple[Task, Entry]]:
    """Work on rows in this process, which starts sooner than another."""
    for task in tasks:
        yield task, work(task)


def results_of(folder: Path) -> list[Entry]:
    return read_results(folder / "out" / "rows.results.jsonl")


def test_a_batch_makes_what_it_can_and_resumes(folder, words, monkeypatch, capsys):
    monkeypatch.setattr(run, "ENGINES", {"local": work_here})
    table = str(folder / "in" / "rows.csv")
    Path(table).write_text(TABLE + BAD_LINES)
    assert run_program(monkeypatch, table, *words) == 1
    printed = capsys.readouterr()
    assert printed.out.strip() == str(folder / "out" / "rows.results.jsonl")
    assert "row 2 (a.png, bad.wav): " in printed.err
    assert "row 4: line 5 of " in printed.err
    assert "row 5 (a.png, a.wav): row 3 writes " in printed.err
    assert "2 done, 3 failed: " in printed.err
    statuses = [entry.status for entry in results_of(folder)]
    assert statuses == ["done", "failed", "done", "failed", "failed"]
    # A sound and the table are repaired, and a row is changed.
    clips = [folder / "out" / name for name in ("one.mp4", "three.mp4")]
    times = [path.stat().st_mtime_ns for path in clips]
    shutil.copy(folder / "in" / "b.wav", folder / "in" / "bad.wav")
    Path(table).write_text(TABLE.replace("b.wav", "a.wav", 1))
    assert run_program(monkeypatch, table, *words) == 0
    assert "1 of 3 clips were made before" in capsys.readouterr().err
    assert clips[0].stat().st_mtime_ns > times[0]
    assert clips[1].stat().st_mtime_ns == times[1]
    assert [entry.status for entry in results_of(folder)] == ["done"] * 3
    # Nothing is left to do.
    monkeypatch.setattr(run, "ENGINES", {})
    assert run_program(monkeypatch, table, *words) == 0
    assert "3 done, 0 failed: " in capsys.readouterr().err


def test_a_batch_of_bad_rows_starts_no_work(folder, words, monkeypatch, capsys):
    monkeypatch.setattr(run, "ENGINES", {})
    table = folder / "in" / "rows.jsonl"
    table.write_text('{"source"\n{"colour": 1}\n')
    assert run_program(monkeypatch, str(table), *words) == 1
    assert "0 done, 2 failed: " in capsys.readouterr().err


def test_a_worker_is_a_process_whose_failures_are_results(folder, words, monkeypatch):
    table = folder / "in" / "rows.csv"
    table.write_text("source,driving\na.png,bad.wav\n")
    assert run_program(monkeypatch, str(table), *words) == 1
    (entry,) = results_of(folder)
    assert (entry.status, entry.device) == ("failed", "cpu:0")
    assert "bad.wav cannot be read" in entry.reason


@pytest.mark.full
def test_every_device_has_a_worker(folder, words, monkeypatch):
    # This process keeps its devices; workers see two, each of which makes a clip.
    jax.devices()
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    assert run_program(monkeypatch, str(folder / "in" / "rows.csv"), *words) == 1
    entries = results_of(folder)
    assert [entry.status for entry in entries] == ["done", "failed", "done"]
    assert {entries[0].device, entries[2].device} == {"cpu:0", "cpu:1"}
    first, third = (folder / "out" / name for name in ("one.mp4", "three.mp4"))
    # Equal inputs give equal clips, whatever the device.
    assert first.read_bytes() == third.read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["-o", "clip.mp4"], "clip.mp4 is a name for one clip: pass a folder for all"),
        (["--warmup"], "--warmup is for one clip: leave it out"),
        (["--pairs", "all"], "leave out --pairs"),
        (["--workers", "0"], "workers is 0: it must be from 1 to"),
    ],
)
def test_options_without_meaning_for_a_batch_are_refused(
    changes, message, folder, words, monkeypatch, capsys
):
    table = str(folder / "in" / "rows.csv")
    assert run_program(monkeypatch, table, *words, *changes) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (folder / "out").exists()


def test_clips_that_would_be_inputs_next_time_are_refused(
    folder, words, monkeypatch, capsys
):
    inputs = str(folder / "in")
    assert run_program(monkeypatch, inputs, *words, "-o", inputs) == 2
    assert "would be inputs of the next run" in capsys.readouterr().err


def test_a_second_run_into_one_folder_is_refused(folder, words, monkeypatch, capsys):
    (folder / "out").mkdir()
    lock = lock_folder(folder / "out")
    assert lock is not None
    status = run_program(monkeypatch, str(folder / "in" / "rows.csv"), *words)
    os.close(lock)
    assert status == 2
    assert "out is in use by another run" in capsys.readouterr().err


def test_a_row_whose_worker_is_killed_or_elsewhere_has_failed(tmp_path):
    options = Options()
    task = Task(4, options, options.request(), fingerprint="digest")
    killed = run.judge(task, ChildProcessError("its worker was killed"))
    assert (killed.row, killed.status) == (4, "failed")
    assert killed.reason == "its worker was killed"
    # Its node has a folder of the same name, which is not this one.
    absent = run.judge(task, task.entry(status="done", bytes=12))
    assert absent.status == "failed"
    assert "share it among all nodes" in absent.reason


@pytest.mark.full
@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (extra `cluster`)"
)
@pytest.mark.usefixtures("only_cluster")
def test_a_cluster_makes_the_same_clips(folder, words):
    table = str(folder / "in" / "rows.csv")
    root = str(Path(__file__).parents[3])
    contents = []
    for engine in ("local", "ray"):
        more = ["--engine", engine, "--workers", "2"]
        done = subprocess.run(
            [sys.executable, "-m", "infer.batch", table, *words, *more],
            env=os.environ | {"PYTHONPATH": root},
            capture_output=True,
            text=True,
        )
        # One row is bad; a program that crashes has this status as well.
        assert done.returncode == 1, done.stderr
        assert "2 done, 1 failed: " in done.stderr
        out = folder / "out"
        facts = []
        for line in (out / "rows.results.jsonl").read_text().splitlines():
            entry = json.loads(line)
            facts.append([entry[name] for name in ("row", "status", "reason", "bytes")])
        clips = [(out / f"{name}.mp4").read_bytes() for name in ("one", "three")]
        contents.append((facts, clips))
        shutil.rmtree(out)
    assert contents[0] == contents[1]
